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


def test_the_document_holds_the_table_and_the_prices_of_the_script() -> None:
    text = DOCUMENT.read_text()
    assert f"<!-- costs -->\n{costs.table()}\n<!-- /costs -->" in text
    assert f"<!-- prices -->\n{costs.prices()}\n<!-- /prices -->" in text


def test_the_example_in_the_document_is_the_sum_it_says() -> None:
    """438 million requests, 300 of them at the first price."""
    assert costs.carriage(API, 10_000) == pytest.approx(300 * 1.00 + 138 * 0.90)
    by_hand = 438 * 0.20 + 438e6 * 0.01515 * 0.125 * 0.0000133334 + 438e6 * 35e-9 * 0.50
    assert costs.function(API, 10_000) == pytest.approx(by_hand)
    assert f"= $87.60 + $11.06 + $7.67 = ${by_hand:.0f}" in DOCUMENT.read_text()
    assert by_hand == pytest.approx(87.60 + 11.06 + 7.67, abs=0.01)


def test_a_million_single_heartbeats_cost_the_function_at_most_thirty_cents() -> None:
    million = costs.function(API, 10_000) / 438
    assert million <= 0.30
    assert f"a million single heartbeats cost the function ${million:.2f}" in DOCUMENT.read_text()
    with_lines = million + (970e-9 * 1e6 - costs.LOG_GB * 1e6) * 0.50
    assert f"they cost ${with_lines:.2f}" in DOCUMENT.read_text()


def test_the_dearest_log_stays_within_the_first_price() -> None:
    """A million devices, each by itself."""
    assert 43.8e9 * costs.LOG_GB < 10_000


def test_a_stream_is_reckoned_with_the_batches_that_its_window_gives() -> None:
    """At 10,000 devices 167 heartbeats a second are read by four, every second."""
    *_, kinesis = costs.TRIGGERS
    assert [costs.batch(kinesis, fleet) for fleet in costs.FLEETS] == [42, 208, 260]
    invocations = 438e6 / 42
    by_hand = invocations * (0.20e-6 + 0.0213 * 0.125 * 0.0000133334 + 35e-9 * 0.50)
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


def test_tiers_are_filled_one_after_the_other() -> None:
    assert costs.tiered(5, (2, 10.0), (2, 1.0), (float("inf"), 0.1)) == pytest.approx(22.1)
