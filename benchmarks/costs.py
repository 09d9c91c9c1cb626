"""What a fleet costs, by its way in: `python -m benchmarks.costs` prints the tables of docs/costs.md.

Prices are list prices in US dollars, without free tiers, discounts, cold starts, the database, NAT gateways and data
transfer. Durations are assumed; a test holds them against the measurements behind docs/performance.md. What the stack
cannot carry has no price.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

HEARTBEATS_A_MONTH = 730 * 60  # of one device, at one a minute
FLEETS = (10, 1_000, 100_000, 1_000_000)
# The Fleet mapping of template.yaml: readers of the stream and of the queue, what is reserved, requests a second.
STREAM_READERS = {10_000: 4, 100_000: 8, 1_000_000: 64}
QUEUE_READERS = {10_000: 5, 100_000: 10, 1_000_000: 30}
RESERVED = {10_000: 20, 100_000: 60, 1_000_000: 120}
API_RATE = {10_000: 500, 100_000: 3_000, 1_000_000: 5_000}
STREAM_WINDOW_S, QUEUE_WINDOW_S, LARGEST_BATCH = 1, 2, 1_000  # of its event source mappings
MILLION = 1_000_000

PRICED = "US East (N. Virginia), May 2025"
PRICES = {
    "Lambda, a million requests": 0.20,
    "Lambda on arm64, a GB-second": 0.0000133334,
    "CloudWatch Logs of Lambda, a GB taken in (first 10 TB)": 0.50,
    "HTTP API, a million requests (first 300 million)": 1.00,
    "HTTP API, a million requests (over 300 million)": 0.90,
    "IoT Core, a million minutes of connection": 0.08,
    "IoT Core, a million messages (first billion)": 1.00,
    "IoT Core, a million messages (next 4 billion)": 0.80,
    "IoT Core, a million messages (over 5 billion)": 0.70,
    "IoT Core, a million rules triggered": 0.15,
    "IoT Core, a million actions executed": 0.15,
    "SQS standard, a million requests": 0.40,
    "Kinesis on demand, a stream-hour": 0.04,
    "Kinesis on demand, a GB taken in": 0.08,
    "Kinesis on demand, a GB read": 0.04,
    "Kinesis provisioned, a shard-hour": 0.015,
    "Kinesis provisioned, a million records put (up to 25 KB)": 0.014,
    "SNS standard, a million publishes": 0.50,
}
MEMORY_GB = 0.125
HEARTBEAT_BYTES = 130
SHARD_RECORDS_A_SECOND = 1_000 / 2  # half of what a shard takes ("Quotas and limits", Kinesis Developer Guide)
IOT_METER_BYTES = 5120  # messages, rules and actions are counted in steps of 5 KB
LOG_GB = 35 / 1e9  # of a clean invocation: its part of a minute's record, where a container gets one every two seconds


def milliseconds(heartbeats: int) -> float:
    """The billed time of an invocation with a batch of that many heartbeats, at 128 MB.

    Assumed, and rather long: about twice what the measured processor time becomes on the share of a vCPU that goes with
    128 MB, 128 / 1,769 ("Configure Lambda function memory", Lambda Developer Guide).
    """
    return 15 + 0.15 * heartbeats


@dataclass(frozen=True)
class Trigger:
    """One way for heartbeats to come in: how many travel together, and what carries them, up to what invokes."""

    name: str
    sent_together: int
    carriers: tuple[str, ...]


TRIGGERS = (
    Trigger("HTTP API, each device", 1, ("http",)),
    Trigger("HTTP API, gateways of 100", 100, ("http",)),
    Trigger("IoT rule, each device", 1, ("messages", "iot")),
    Trigger("IoT Basic Ingest, each device", 1, ("iot",)),
    Trigger("IoT Basic Ingest, gateways of 100", 100, ("iot",)),
    Trigger("IoT Basic Ingest into SQS, each device", 1, ("iot", "sqs")),
    Trigger("IoT Basic Ingest into Kinesis on demand, each device", 1, ("iot", "kinesis")),
    Trigger("IoT Basic Ingest into shards of your own, each device", 1, ("iot", "shards")),
    Trigger("SNS, each device", 1, ("sns",)),
    Trigger("SQS, each device", 1, ("sqs",)),
    Trigger("Kinesis on demand, each device", 1, ("kinesis",)),
    Trigger("Kinesis, shards of your own, each device", 1, ("shards",)),
)


def tiered(amount: float, what: str, tiers: dict[str, float]) -> float:
    """The price of `amount` units, each tier being how many units it holds."""
    total = 0.0
    for tier, size in tiers.items():
        total += min(amount, size) * PRICES[f"{what} ({tier})"]
        amount -= min(amount, size)
    return total


def row_of(devices: int) -> int:
    """The FleetSize for so many devices."""
    return next(size for size in RESERVED if size >= devices)


def shards(devices: int) -> int:
    return math.ceil(devices / 60 / SHARD_RECORDS_A_SECOND)


def carriage(trigger: Trigger, devices: int) -> float:
    """What everything in front of the function costs a month."""
    messages = devices * HEARTBEATS_A_MONTH / trigger.sent_together
    return sum(_carried(carrier, messages, devices, trigger.sent_together) for carrier in trigger.carriers)


def _carried(carrier: str, messages: float, devices: int, sent_together: int) -> float:
    millions = messages / MILLION
    of = PRICES
    steps = math.ceil(sent_together * HEARTBEAT_BYTES / IOT_METER_BYTES)
    cost = 0.0
    match carrier:
        case "http":
            tiers = {"first 300 million": 300, "over 300 million": math.inf}
            cost = tiered(millions, "HTTP API, a million requests", tiers)
        case "messages":
            tiers = {"first billion": 1e3, "next 4 billion": 4e3, "over 5 billion": math.inf}
            cost = tiered(millions * steps, "IoT Core, a million messages", tiers)
        case "iot":
            minutes = devices / sent_together * HEARTBEATS_A_MONTH / MILLION
            rule = of["IoT Core, a million rules triggered"] + of["IoT Core, a million actions executed"]
            cost = minutes * of["IoT Core, a million minutes of connection"] + millions * steps * rule
        case "sns":
            cost = millions * of["SNS standard, a million publishes"]
        case "sqs":
            # Sent one by one; received and deleted ten at a time by Lambda's poller.
            cost = millions * 1.2 * of["SQS standard, a million requests"]
        case "kinesis":
            # A record counts as a whole KB on the way in, and as what it is on the way out.
            taken_in, read = (messages * size / 2**30 for size in (1024, HEARTBEAT_BYTES))
            flow = taken_in * of["Kinesis on demand, a GB taken in"] + read * of["Kinesis on demand, a GB read"]
            cost = 730 * of["Kinesis on demand, a stream-hour"] + flow
        case "shards":
            put = millions * of["Kinesis provisioned, a million records put (up to 25 KB)"]
            cost = 730 * shards(devices) * of["Kinesis provisioned, a shard-hour"] + put
    return cost


def batch(trigger: Trigger, devices: int) -> int:
    """How many heartbeats an invocation gets: those sent together, or what each reader finds in its batching window."""
    window_s, readers = {
        "sqs": (QUEUE_WINDOW_S, QUEUE_READERS[row_of(devices)]),
        "kinesis": (STREAM_WINDOW_S, STREAM_READERS[row_of(devices)]),
        "shards": (STREAM_WINDOW_S, shards(devices)),
    }.get(trigger.carriers[-1], (0, 1))
    return min(max(round(devices / 60 * window_s / readers), trigger.sent_together), LARGEST_BATCH)


def why_not(trigger: Trigger, devices: int) -> str:
    """Why the stack does not carry such a fleet; empty where it does."""
    requests, together = devices / 60 / trigger.sent_together, batch(trigger, devices)
    size = row_of(devices)
    if "http" in trigger.carriers and requests > API_RATE[size]:
        return f"{requests:,.0f} requests a second, {API_RATE[size]:,} let through"
    at_once = math.ceil(devices / 60 / together * milliseconds(together) / 1000)
    return f"{at_once} invocations at once, {RESERVED[size]} reserved" if at_once > RESERVED[size] else ""


def function(trigger: Trigger, devices: int) -> tuple[float, float, float]:
    """What the function costs a month: its requests, its computing and its log."""
    together = batch(trigger, devices)
    invocations = devices * HEARTBEATS_A_MONTH / together
    seconds = invocations * milliseconds(together) / 1000
    return (
        invocations / MILLION * PRICES["Lambda, a million requests"],
        seconds * MEMORY_GB * PRICES["Lambda on arm64, a GB-second"],
        invocations * LOG_GB * PRICES["CloudWatch Logs of Lambda, a GB taken in (first 10 TB)"],
    )


def dollars(amount: float) -> str:
    """An amount as the table shows it: whole dollars, cents below ten."""
    return f"${amount:,.0f}" if amount >= 10 else f"${amount:.2f}"


def table() -> str:
    """Dollars a month: the way in, the function with its log, and both."""
    heads = " | ".join(f"{fleet:,} devices" for fleet in FLEETS)
    lines = [f"| way in | {heads} |", "|---" * (len(FLEETS) + 1) + "|"]
    for trigger in TRIGGERS:
        cells = [_month(trigger, fleet) if fleet >= trigger.sent_together else "" for fleet in FLEETS]
        lines.append(f"| {trigger.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _month(trigger: Trigger, devices: int) -> str:
    if reason := why_not(trigger, devices):
        return f"not carried: {reason}"
    parts = carriage(trigger, devices), sum(function(trigger, devices))
    return f"{dollars(parts[0])} + {dollars(parts[1])} = **{dollars(sum(parts))}**"


def a_million(devices: int = 100_000) -> str:
    """Dollars for a million heartbeats, by what they are paid for."""
    lines = ["| way in | in an invocation | the way in | requests | computing | log | together |", "|---" * 7 + "|"]
    for trigger in TRIGGERS:
        parts = carriage(trigger, devices), *function(trigger, devices)
        each = [part / (devices * HEARTBEATS_A_MONTH / MILLION) for part in (*parts, sum(parts))]
        *cells, total = (f"{amount:.3f}" for amount in each)
        lines.append(f"| {trigger.name} | {batch(trigger, devices)} | {' | '.join(cells)} | **{total}** |")
    return "\n".join(lines)


def prices() -> str:
    """The unit prices behind the tables."""
    lines = [f"| {PRICED} | US dollars |", "|---|---|"]
    return "\n".join(
        lines + [f"| {what} | {price:.10f}".rstrip("0").rstrip(".") + " |" for what, price in PRICES.items()]
    )


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n\n{a_million()}\n\n{prices()}\n")
