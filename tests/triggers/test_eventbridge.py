"""EventBridge: events with heartbeats in their detail, and the tick of a schedule, which counts the stale devices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.answers import NOW, accepted, complaint, none_accepted, not_a_status
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg

    from tests.triggers.conftest import Context, Function

event = SAMPLES["eventbridge"].event
RECORD = "event 17793124-05d4-b198-2fde-7ededc63b103"
# By name: the detail, the answer, what the log says, which devices were written.
CASES: dict[str, tuple[object, int, dict[str, Any], dict[str, Any], set[str]]] = {
    "all well": (
        {"devices": [ONE, TWO]},
        200,
        accepted("hvac-001", "hvac-002"),
        {"updated": 2},
        {"hvac-001", "hvac-002"},
    ),
    "one outdated": (
        [ONE, OUTDATED],
        200,
        accepted("hvac-001", outdated_devices=["newer"]),
        {"updated": 1, "outdated": 1},
        {"hvac-001"},
    ),
    "one rejected": (
        {"devices": [ONE, NAMELESS]},
        207,
        accepted("hvac-001", rejected=[complaint(1, None, "device_id", "is missing")]),
        {"updated": 1, "rejected": [f"{RECORD}: device_id is missing"]},
        {"hvac-001"},
    ),
    "all rejected": (
        {"devices": []},
        400,
        none_accepted(complaint(0, None, "devices", "is empty")),
        {"rejected": [f"{RECORD}: devices is empty"]},
        set(),
    ),
    "one ignored field, and a detail that is JSON text": (
        json.dumps(ODD),
        200,
        accepted("hvac-003", ignored_fields=[not_a_status(0, "hvac-003")]),
        {"updated": 1, "ignored_fields": 1},
        {"hvac-003"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    detail, status, answer, verdicts, written = CASES[case]
    assert function(event([]) | {"detail": detail}) == {"statusCode": status, "body": answer}
    assert function.verdicts() == verdicts
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}


def test_the_event_comes_again_when_anything_failed(
    function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    with pytest.raises(StoreUnavailable):
        function(event([ONE, FAILING, TWO]))
    assert function.verdicts() == {"updated": 2, "failed": 1}
    assert seen() == {"hvac-001": AT, "hvac-002": AT}


def test_the_event_comes_again_while_the_database_is_away(function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(event([ONE, NAMELESS]), away)
    assert function.verdicts() == {"failed": 1, "rejected": [f"{RECORD}: device_id is missing"]}


def test_an_event_without_id_and_time_arrives_now(function: Function, seen: Callable[[], dict[str, datetime]]) -> None:
    assert function({"detail-type": "x", "source": "y", "detail": [ONE, {}]})["statusCode"] == 207
    assert function.verdicts() == {"updated": 1, "rejected": ["event None: device_id is missing"]}
    assert seen() == {"hvac-001": NOW}


on_every_tick = pytest.mark.parametrize("name", ["schedule", "scheduler"])


@pytest.fixture
def _fleet(connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
        " SELECT 'd' || n, 's', now() - n * interval '45 seconds' FROM generate_series(1, 5) AS n"
    )


@on_every_tick
@pytest.mark.usefixtures("_fleet")
def test_a_tick_is_answered_with_a_summary_and_logged_as_metrics(name: str, function: Function) -> None:
    summary = {"message": "3 of 5 device(s) are stale", "fleet_devices": 5, "stale_devices": 3, "timestamp": NOW}
    assert function(sample(name)) == {"statusCode": 200, "body": summary}
    (line,) = function.log()
    assert (line["trigger"], line["fleet_devices"], line["stale_devices"]) == ("schedule", 5, 3)
    declared = {metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert {"fleet_devices", "stale_devices"} <= declared


@on_every_tick
@pytest.mark.usefixtures("_fleet")
def test_a_missing_view_is_a_clear_failure_and_never_a_healthy_fleet(
    name: str, function: Function, connection: psycopg.Connection
) -> None:
    connection.execute("DROP VIEW v_devices_stale")
    with pytest.raises(StoreUnavailable, match="v_devices_stale") as raised:
        function(sample(name))
    assert raised.value.sqlstate == "42P01"
    (line,) = function.log()
    assert "v_devices_stale" in line["failure"]
    assert "stale_devices" not in line


@on_every_tick
def test_a_tick_fails_while_the_settings_are_unusable(
    name: str, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_NAME")
    with pytest.raises(StoreUnavailable, match="DB_NAME"):
        function(sample(name))


@on_every_tick
def test_a_tick_says_that_the_database_is_away_and_not_only_that_a_right_may_lack(
    name: str, function: Function, away: Context
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(sample(name), away)


@on_every_tick
def test_a_constant_detail_with_heartbeats_is_written_instead(name: str, function: Function) -> None:
    detail = ONE if name == "schedule" else json.dumps(ONE)
    assert function(sample(name) | {"detail": detail})["body"]["updated_devices"] == ["hvac-001"]
    assert function.log()[0]["trigger"] == "eventbridge"


@pytest.mark.parametrize(
    "detail", [None, "", "{", "[" * 100_000, 7, [], {}, {"x": 1}, "null"], ids=lambda d: str(d)[:9]
)
def test_any_detail_without_heartbeats_is_a_tick(detail: object, function: Function) -> None:
    assert "fleet_devices" in function(sample("scheduler") | {"detail": detail})["body"]
