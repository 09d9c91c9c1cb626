"""The costs in docs/costs.md are those that the script reckons, and the script reckons right."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from benchmarks import costs
from hvac_heartbeat.aws import invocation_log
from hvac_heartbeat.aws.invocation_log import InvocationLog
from hvac_heartbeat.aws.triggers.http_gateways import HttpApi

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "costs.md"
API, *_ = costs.TRIGGERS


def test_the_document_holds_the_tables_and_the_prices_of_the_script() -> None:
    text = DOCUMENT.read_text()
    assert f"<!-- costs -->\n{costs.table()}\n<!-- /costs -->" in text
    assert f"<!-- a million -->\n{costs.a_million()}\n<!-- /a million -->" in text
    assert f"<!-- prices -->\n{costs.prices()}\n<!-- /prices -->" in text


def test_the_example_in_the_document_is_the_sum_it_says() -> None:
    """43.8 million requests at the first price."""
    assert costs.carriage(API, 1_000) == pytest.approx(43.8 * 1.00)
    by_hand = 43.8 * 0.20, 43.8e6 * 0.01515 * 0.125 * 0.0000133334, 43.8e6 * 35e-9 * 0.50
    assert costs.function(API, 1_000) == pytest.approx(by_hand)
    parts = " + ".join(costs.dollars(part) for part in by_hand)
    assert f"= {parts} = {costs.dollars(sum(by_hand))}." in DOCUMENT.read_text()


def test_a_million_single_heartbeats_cost_the_function_at_most_thirty_cents() -> None:
    million = sum(costs.function(API, 1_000)) / 43.8
    assert million <= 0.30
    assert f"a million single heartbeats cost the function ${million:.2f}" in DOCUMENT.read_text()
    with_lines = million + (970e-9 * 1e6 - costs.LOG_GB * 1e6) * 0.50
    assert f"they cost ${with_lines:.2f}" in DOCUMENT.read_text()


def test_the_dearest_log_stays_within_the_first_price() -> None:
    """A million devices, each by itself."""
    assert 43.8e9 * costs.LOG_GB < 10_000


def test_requests_go_through_their_tiers() -> None:
    """4,380 million of them a month."""
    assert costs.carriage(API, 100_000) == pytest.approx(300 * 1.00 + 4_080 * 0.90)
    tiers = {"first 300 million": 2.0, "over 300 million": 2.0}
    assert costs.tiered(3, "HTTP API, a million requests", tiers) == pytest.approx(2 * 1.00 + 1 * 0.90)


def test_a_stream_is_reckoned_with_the_batches_that_its_window_gives() -> None:
    """At 1,000 devices 17 heartbeats a second are read by four, every second."""
    kinesis = by_name("Kinesis on demand, each device")
    assert [costs.batch(kinesis, fleet) for fleet in costs.FLEETS] == [1, 4, 208, 260]
    invocations = 43.8e6 / 4
    by_hand = invocations * (0.20e-6 + 0.0156 * 0.125 * 0.0000133334 + costs.LOG_GB * 0.50)
    assert sum(costs.function(kinesis, 1_000)) == pytest.approx(by_hand)
    assert costs.carriage(kinesis, 1_000) == pytest.approx(730 * 0.04 + 43.8e6 / 2**20 * (0.08 + 0.04 * 130 / 1024))


def test_a_rule_that_leads_into_a_queue_or_a_stream_pays_for_both_and_for_few_invocations() -> None:
    rule = costs.carriage(by_name("IoT Basic Ingest, each device"), 1_000_000)
    for target, alone in {
        "SQS": "SQS",
        "Kinesis on demand": "Kinesis on demand",
        "shards of your own": "Kinesis, shards of your own",
    }.items():
        both, direct = by_name(f"IoT Basic Ingest into {target}, each device"), by_name(f"{alone}, each device")
        assert costs.carriage(both, 1_000_000) == pytest.approx(rule + costs.carriage(direct, 1_000_000))
        assert costs.function(both, 1_000_000) == costs.function(direct, 1_000_000)


def test_shards_of_ones_own_are_half_full() -> None:
    """16,667 records a second, of which a shard takes 1,000."""
    own = by_name("Kinesis, shards of your own, each device")
    assert [costs.shards(fleet) for fleet in costs.FLEETS] == [1, 1, 4, 34]
    assert costs.carriage(own, 1_000_000) == pytest.approx(730 * 34 * 0.015 + 43_800 * 0.014)


def test_what_the_stack_does_not_carry_has_a_reason_and_no_price() -> None:
    """A million devices that each call by themselves, and nothing else."""
    refused = {trigger.name for trigger in costs.TRIGGERS if costs.why_not(trigger, 1_000_000)}
    assert refused == {f"{way}, each device" for way in ("HTTP API", "IoT rule", "IoT Basic Ingest", "SNS")}
    assert not any(costs.why_not(trigger, fleet) for trigger in costs.TRIGGERS for fleet in costs.FLEETS[:-1])
    assert costs.why_not(API, 1_000_000) == "16,667 requests a second, 5,000 let through"
    assert costs.why_not(by_name("SNS, each device"), 1_000_000) == "253 invocations at once, 120 reserved"
    rows = [line for line in costs.table().splitlines() if "not carried" in line]
    assert len(rows) == len(refused)
    assert all(row.count("$") == 3 * 3 for row in rows)


def by_name(name: str) -> costs.Trigger:
    return next(trigger for trigger in costs.TRIGGERS if trigger.name == name)


@pytest.mark.parametrize("heartbeats", [1, 10, 100, 1_000, 10_000])
def test_an_invocation_is_assumed_longer_than_it_was_measured_and_not_beyond_measure(heartbeats: int) -> None:
    """The client's processor time on what 128 MB have of a vCPU, and the wait for the server."""
    tables = json.loads((ROOT / "benchmarks" / "results" / "ingest.json").read_text())["tables"]
    for rows in tables.values():
        (row,) = (row for row in rows if (row["size"], row["contestant"]) == (heartbeats, "lambda_handler"))
        waited = row["median_ms"] - row["client_cpu_ms"]
        measured = row["client_cpu_ms"] * 1769 / 128 + waited
        assert measured < costs.milliseconds(heartbeats) < 10 * measured


def test_the_log_is_as_long_as_assumed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an invocation every two seconds, as a reader of the queue has them; and of each, with HEARTBEAT_LOG=each."""
    context = SimpleNamespace(function_name="hvac-heartbeat-updater", aws_request_id=str(uuid4()))
    clock = SimpleNamespace(now=60)
    monkeypatch.setattr(invocation_log, "time", SimpleNamespace(time=lambda: clock.now))
    log = InvocationLog()

    def write(*, each: bool) -> int:
        log.add(HttpApi({}), context, refused=None, each=each, database_ms=1.234, total_ms=12.345)
        return len(capsys.readouterr().out)

    assert write(each=True) == pytest.approx(700, abs=30)
    written = 0
    for clock.now in range(120, 181, 2):  # the last one ends the minute
        written += write(each=False)
    assert written / 30 == pytest.approx(costs.LOG_GB * 1e9, abs=3)
