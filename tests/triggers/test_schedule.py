"""A bare tick of a schedule runs the sweep: it counts the fleet and the stale devices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.conftest import Context
from tests.triggers.trigger_samples import sample

if TYPE_CHECKING:
    import psycopg

    from tests.triggers.conftest import Function

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
    answer = function(sample(name))
    body = json.loads(answer.pop("body"))
    assert answer == {"statusCode": 200}
    assert body.pop("timestamp")
    assert body == {"message": "3 of 5 device(s) are stale", "fleet_devices": 5, "stale_devices": 3}
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


def test_a_tick_says_that_the_database_is_away_and_not_only_that_a_right_may_lack(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "/nonexistent")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(sample("schedule"), Context(seconds=1.0))


@on_every_tick
def test_a_constant_detail_with_heartbeats_is_written_instead(name: str, function: Function) -> None:
    beat = {"device_id": "d", "site_id": "s"}
    detail = beat if name == "schedule" else json.dumps(beat)
    assert json.loads(function(sample(name) | {"detail": detail})["body"])["updated_devices"] == ["d"]
    assert function.log()[0]["trigger"] == "eventbridge"


@pytest.mark.parametrize(
    "detail", [None, "", "{", "[" * 100_000, 7, [], {}, {"x": 1}, "null"], ids=lambda d: str(d)[:9]
)
def test_any_detail_without_heartbeats_is_a_tick(detail: object, function: Function) -> None:
    assert "fleet_devices" in json.loads(function(sample("scheduler") | {"detail": detail})["body"])
