"""What a fleet costs a month, by trigger: `python -m benchmarks.costs` prints the tables of docs/costs.md.

Prices are list prices in US dollars, without free tiers, discounts, cold starts, the database, NAT gateways and data
transfer. Durations are assumed; a test holds them against the measurements behind docs/performance.md.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

HEARTBEATS_A_MONTH = 730 * 60  # of one device, at one a minute
FLEETS = (10_000, 100_000, 1_000_000)
STREAM_READERS = {10_000: 4, 100_000: 8, 1_000_000: 64}  # the Fleet mapping of template.yaml, as are the next
QUEUE_READERS = {10_000: 5, 100_000: 10, 1_000_000: 30}
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
    "SNS standard, a million publishes": 0.50,
}
MEMORY_GB = 0.125
HEARTBEAT_BYTES = 130
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
    """One way for heartbeats to come in: how many travel together, and what carries them costs."""

    name: str
    sent_together: int
    carried_by: str


TRIGGERS = (
    Trigger("HTTP API, each device", 1, "http"),
    Trigger("HTTP API, gateways of 100", 100, "http"),
    Trigger("IoT rule, each device", 1, "iot"),
    Trigger("IoT Basic Ingest, each device", 1, "basic-ingest"),
    Trigger("IoT Basic Ingest, gateways of 100", 100, "basic-ingest"),
    Trigger("SNS, each device", 1, "sns"),
    Trigger("SQS, each device", 1, "sqs"),
    Trigger("Kinesis, each device", 1, "kinesis"),
)


def tiered(amount: float, *tiers: tuple[float, float]) -> float:
    """The price of `amount` units, each tier being how many units it holds and what one of them costs."""
    total = 0.0
    for size, price in tiers:
        total += min(amount, size) * price
        amount -= min(amount, size)
    return total


def carriage(trigger: Trigger, devices: int) -> float:
    """What everything in front of the function costs a month."""
    messages = devices * HEARTBEATS_A_MONTH / trigger.sent_together
    senders = devices / trigger.sent_together
    of = PRICES
    connection = senders * HEARTBEATS_A_MONTH / MILLION * of["IoT Core, a million minutes of connection"]
    steps = math.ceil(trigger.sent_together * HEARTBEAT_BYTES / IOT_METER_BYTES)
    rules = (
        messages
        * steps
        / MILLION
        * (of["IoT Core, a million rules triggered"] + of["IoT Core, a million actions executed"])
    )
    if trigger.carried_by == "http":
        first, over = (of[f"HTTP API, a million requests ({part} 300 million)"] / MILLION for part in ("first", "over"))
        return tiered(messages, (300e6, first), (float("inf"), over))
    if trigger.carried_by == "iot":
        prices = [of[f"IoT Core, a million messages ({part})"] / MILLION
                  for part in ("first billion", "next 4 billion", "over 5 billion")]  # fmt: skip
        return connection + rules + tiered(messages * steps, *zip((1e9, 4e9, float("inf")), prices, strict=True))
    if trigger.carried_by == "basic-ingest":
        return connection + rules
    if trigger.carried_by == "sns":
        return messages / MILLION * of["SNS standard, a million publishes"]
    if trigger.carried_by == "sqs":
        # Sent one by one; received and deleted ten at a time by Lambda's poller.
        return messages * 1.2 / MILLION * of["SQS standard, a million requests"]
    # A record counts as a whole KB on the way in, and as what it is on the way out.
    taken_in, read = (messages * size / 2**30 for size in (1024, HEARTBEAT_BYTES))
    flow = taken_in * of["Kinesis on demand, a GB taken in"] + read * of["Kinesis on demand, a GB read"]
    return 730 * of["Kinesis on demand, a stream-hour"] + flow


def batch(trigger: Trigger, devices: int) -> int:
    """How many heartbeats an invocation gets: those sent together, or what each reader finds in its batching window."""
    a_second = devices / 60
    if trigger.carried_by == "sqs":
        return min(round(a_second * QUEUE_WINDOW_S / QUEUE_READERS[devices]), LARGEST_BATCH)
    if trigger.carried_by == "kinesis":
        return min(round(a_second * STREAM_WINDOW_S / STREAM_READERS[devices]), LARGEST_BATCH)
    return trigger.sent_together


def function(trigger: Trigger, devices: int) -> float:
    """What the function and its log cost a month."""
    together = batch(trigger, devices)
    invocations = devices * HEARTBEATS_A_MONTH / together
    seconds = invocations * milliseconds(together) / 1000
    return (
        invocations / MILLION * PRICES["Lambda, a million requests"]
        + seconds * MEMORY_GB * PRICES["Lambda on arm64, a GB-second"]
        + invocations * LOG_GB * PRICES["CloudWatch Logs of Lambda, a GB taken in (first 10 TB)"]
    )


def dollars(amount: float) -> str:
    """An amount as the table shows it: whole dollars, cents below ten."""
    return f"${amount:,.0f}" if amount >= 10 else f"${amount:.2f}"


def table() -> str:
    """Dollars a month: the way in, the function with its log, and both."""
    lines = [
        "| trigger | " + " | ".join(f"{fleet:,} devices" for fleet in FLEETS) + " |",
        "|---" * (len(FLEETS) + 1) + "|",
    ]
    for trigger in TRIGGERS:
        cells = [
            f"{dollars(carriage(trigger, fleet))} + {dollars(function(trigger, fleet))} = "
            f"**{dollars(carriage(trigger, fleet) + function(trigger, fleet))}**"
            for fleet in FLEETS
        ]
        lines.append(f"| {trigger.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def prices() -> str:
    """The unit prices behind the table."""
    lines = [f"| {PRICED} | US dollars |", "|---|---|"]
    return "\n".join(
        lines + [f"| {what} | {price:.10f}".rstrip("0").rstrip(".") + " |" for what, price in PRICES.items()]
    )


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n\n{prices()}\n")
