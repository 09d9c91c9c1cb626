"""The costs in docs/costs.md are those that the script reckons, and the script reckons right."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from benchmarks import costs
from hvac_heartbeat.aws.invocation_log import log_invocation
from hvac_heartbeat.aws.triggers.http_gateways import HttpApi

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "costs.md"
API, *_ = costs.TRIGGERS


def test_the_document_holds_the_table_and_the_prices_of_the_script() -> None:
    text = DOCUMENT.read_text()
    assert f"<!-- costs -->\n{costs.table()}\n<!-- /costs -->" in text
    assert f"<!-- prices -->\n{costs.prices()}\n<!-- /prices -->" in text


def test_the_example_in_the_document_is_the_sum_it_says() -> None:
    """438 million requests, 300 of them at the first price."""
    assert costs.carriage(API, 10_000) == pytest.approx(300 * 1.00 + 138 * 0.90)
    by_hand = 438 * 0.20 + 438e6 * 0.01515 * 0.125 * 0.0000133334 + 438e6 * 970e-9 * 0.50
    assert costs.function(API, 10_000) == pytest.approx(by_hand)
    assert "= $88 + $11 + $212 = $311" in DOCUMENT.read_text()
    assert [round(part) for part in (87.6, 438e6 * 0.01515 * 0.125 * 0.0000133334, 212.43, by_hand)] == [
        88, 11, 212, 311,
    ]  # fmt: skip


def test_the_dearest_log_goes_through_the_tiers() -> None:
    """A million devices, each by itself: 43.8 thousand million lines are 42,486 GB."""
    log = 10_000 * 0.50 + 20_000 * 0.25 + 12_486 * 0.10
    by_hand = 43_800 * 0.20 + 43.8e9 * 0.01515 * 0.125 * 0.0000133334 + log
    assert costs.function(API, 1_000_000) == pytest.approx(by_hand)


def test_a_stream_is_reckoned_with_the_batches_that_its_window_gives() -> None:
    """At 10,000 devices 167 heartbeats a second are read by four, every second."""
    *_, kinesis = costs.TRIGGERS
    assert [costs.batch(kinesis, fleet) for fleet in costs.FLEETS] == [42, 208, 260]
    invocations = 438e6 / 42
    by_hand = invocations * (0.20e-6 + 0.0213 * 0.125 * 0.0000133334 + 970e-9 * 0.50)
    assert costs.function(kinesis, 10_000) == pytest.approx(by_hand)
    assert costs.carriage(kinesis, 10_000) == pytest.approx(730 * 0.04 + 438e6 / 2**20 * (0.08 + 0.04 * 130 / 1024))


@pytest.mark.parametrize("heartbeats", [1, 10, 100, 1_000, 10_000])
def test_an_invocation_is_assumed_longer_than_it_was_measured_and_not_beyond_measure(heartbeats: int) -> None:
    """The client's processor time on what 128 MB have of a vCPU, and the wait for the server."""
    tables = json.loads((ROOT / "benchmarks" / "results" / "ingest.json").read_text())["tables"]
    for rows in tables.values():
        (row,) = (row for row in rows if (row["size"], row["contestant"]) == (heartbeats, "lambda_handler"))
        waited = row["median_ms"] - row["client_cpu_ms"]
        measured = row["client_cpu_ms"] * 1769 / 128 + waited
        assert measured < costs.milliseconds(heartbeats) < 10 * measured


def test_the_invocations_record_is_as_long_as_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    context = SimpleNamespace(function_name="hvac-heartbeat-updater", aws_request_id=str(uuid4()))
    log_invocation(HttpApi({}), context, refused=None, cold_start=False, database_ms=1.234, total_ms=2.345)
    assert len(capsys.readouterr().out) == pytest.approx(700, abs=30)


def test_tiers_are_filled_one_after_the_other() -> None:
    assert costs.tiered(5, (2, 10.0), (2, 1.0), (float("inf"), 0.1)) == pytest.approx(22.1)
