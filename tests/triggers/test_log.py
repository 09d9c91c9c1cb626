"""The log: one JSON line an invocation, which CloudWatch reads as metrics; no body and no secret in any line."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.conftest import COUNTS, Context
from tests.triggers.trigger_samples import SAMPLES, TriggerSample, sample

if TYPE_CHECKING:
    from tests.triggers.conftest import Function

PASSWORD = "correct-horse-battery-staple"
SECRETS = ("a-body-of-a-device", PASSWORD)
TIMES = {"database_ms", "total_ms"}


def check_embedded_metrics(line: dict[str, Any]) -> None:
    """Check a line against "Specification: Embedded metric format", Amazon CloudWatch User Guide."""
    assert abs(line["_aws"]["Timestamp"] / 1000 - datetime.now(UTC).timestamp()) < 60
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "HvacHeartbeat"
    assert 0 < len(directive["Metrics"]) <= 100
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert {name for name, unit in units.items() if unit == "Count"} >= {*COUNTS}
    assert {name for name, unit in units.items() if unit == "Milliseconds"} == TIMES
    for name in units:
        assert isinstance(line[name], int | float)
        assert not isinstance(line[name], bool)
        assert line[name] >= 0
    for dimensions in directive["Dimensions"]:
        assert set(dimensions) <= {"function_name", "trigger"}
        assert all(isinstance(line[name], str) and 0 < len(line[name]) <= 1024 for name in dimensions)


@pytest.fixture
def event_of_three() -> list[object]:
    """One good heartbeat, one with a field to be ignored, one to be rejected; each holds what must not be logged."""
    return [
        {"device_id": "d1", "site_id": "s", "note": SECRETS[0]},
        {"device_id": "d2", "site_id": "s", "status": SECRETS[0]},
        {"device_id": "\0", "site_id": SECRETS[0]},
    ]


@pytest.mark.parametrize("trigger", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_invocation_writes_one_metric_line_and_one_line_a_rejection(
    trigger: TriggerSample, function: Function, event_of_three: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "DB_PASSWORD" not in os.environ:  # the server of TEST_DATABASE_URL may want one of its own
        monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    event = trigger.event(event_of_three)
    function(event)
    rejection, first = function.log()
    check_embedded_metrics(first)
    assert {name: first[name] for name in COUNTS} == {
        "updated": 2,
        "outdated": 0,
        "rejected": 1,
        "failed": 0,
        "ignored_fields": 1,
    }
    assert first["cold_start"] is True
    assert first["request_id"] == Context().aws_request_id
    assert 0 < first["database_ms"] <= first["total_ms"]
    assert (rejection["message"], rejection["index"], rejection["field"]) == ("heartbeat rejected", 2, "device_id")
    function(event)
    lines = function.log()
    assert lines[-1]["cold_start"] is False
    assert not [secret for secret in SECRETS if secret in str([rejection, first, *lines])]


def test_a_failure_is_logged_with_its_code_and_without_a_secret(
    function: Function, monkeypatch: pytest.MonkeyPatch, event_of_three: list[object]
) -> None:
    monkeypatch.setenv("DB_HOST", "/nonexistent")
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    with pytest.raises(StoreUnavailable):
        function(event_of_three, Context(seconds=1.0))
    *_, line = function.log()
    check_embedded_metrics(line)
    assert (line["failed"], line["updated"]) == (2, 0)
    assert line["failure"]
    assert line["database"] == "/nonexistent:5432"
    assert "No such file or directory" in line["cause"]
    assert not [secret for secret in SECRETS if secret in str(line)]


@pytest.mark.parametrize(
    "event", [None, {}, sample("schedule"), sample("rest-api") | {"path": "/nowhere"}], ids=range(4)
)
def test_refusals_and_ticks_are_logged_in_the_same_form(event: object, function: Function) -> None:
    function(event)
    (line,) = function.log()
    check_embedded_metrics(line)


def test_an_event_that_is_refused_waited_for_no_database(function: Function) -> None:
    """Not even in a container whose last invocation did."""
    function({"device_id": "d", "site_id": "s"})
    function({})
    waited, refused = function.log()
    assert waited["database_ms"] > 0
    assert refused["database_ms"] == 0


def test_twenty_rejections_are_logged_and_the_others_counted(function: Function) -> None:
    function([{"device_id": f"d{number}"} for number in range(50)])
    lines = function.log()
    assert [line["index"] for line in lines[:20]] == list(range(20))
    assert (lines[20]["message"], lines[20]["count"]) == ("more heartbeats rejected", 30)
    assert lines[21]["rejected"] == 50
    assert len(lines) == 22


def test_a_line_is_written_outside_lambda_too(function: Function) -> None:
    handler.lambda_handler({"device_id": "d", "site_id": "s"}, None)
    (line,) = function.log()
    check_embedded_metrics(line)
    assert line["request_id"] is None
