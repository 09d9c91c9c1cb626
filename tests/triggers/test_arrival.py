"""last_seen_ts is when a heartbeat arrived in AWS, however late and however often it is delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.trigger_samples import SAMPLES, TriggerSample

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Function

WITH_CLOCK = [trigger for trigger in SAMPLES.values() if trigger.has_clock]
TWO = [{"device_id": device, "site_id": "s"} for device in ("alive", "dead")]
ROWS = "SELECT device_id, site_id, last_seen_ts, status, agent_version, cpu_pct FROM device_state ORDER BY 1"


def _ago(**much: float) -> datetime:
    return (datetime.now(UTC) - timedelta(**much)).replace(microsecond=0)


@pytest.mark.parametrize("trigger", WITH_CLOCK, ids=lambda trigger: trigger.name)
def test_a_backlog_an_hour_late_makes_no_dead_device_look_alive(
    trigger: TriggerSample, function: Function, seen: Callable[[], dict[str, Any]], connection: psycopg.Connection
) -> None:
    an_hour_ago = _ago(hours=1)
    function(trigger.event(TWO, an_hour_ago))
    function(SAMPLES["direct"].event([TWO[0]], _ago(seconds=5)))
    assert seen()["dead"] == an_hour_ago
    stale = connection.execute("SELECT device_id FROM v_devices_stale").fetchall()
    assert stale == [("dead",)]


@pytest.mark.parametrize("trigger", WITH_CLOCK, ids=lambda trigger: trigger.name)
def test_a_redelivery_in_whole_or_in_part_changes_nothing(
    trigger: TriggerSample, function: Function, connection: psycopg.Connection
) -> None:
    def rows() -> list[tuple[Any, ...]]:
        return connection.execute(ROWS).fetchall()

    batch = [
        {"device_id": "a", "site_id": "s", "status": "ready", "cpu_pct": 1},
        {"device_id": "b", "site_id": "s"},
        {"device_id": "a", "site_id": "s", "agent_version": "2"},
    ]
    at = _ago(minutes=3)
    function(trigger.event(batch, at))
    first = rows()
    function(trigger.event(batch, at))
    function(trigger.event(batch[:2], at))
    assert rows() == first
    function(trigger.event([{"device_id": "a", "site_id": "t", "status": "error"}], at + timedelta(minutes=1)))
    newer = rows()
    function(trigger.event(batch, at))
    assert rows() == newer


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns"])
def test_received_at_of_a_plain_queued_heartbeat_does_not_count(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    at = _ago(minutes=1)
    function(SAMPLES[name].event([{"device_id": "d", "site_id": "s", "received_at": 1_600_000_000}], at))
    assert seen() == {"d": at}


@pytest.mark.parametrize("nonsense", [None, True, "soon", "", -1, 0, [], {}, "9" * 400, 10**400, float("nan")])
def test_an_unusable_clock_costs_no_heartbeat(
    nonsense: object, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    before = _ago(seconds=2)
    for index, name in enumerate(("sqs", "kinesis", "kafka-msk", "sns", "http-api", "rest-api")):
        event = SAMPLES[name].event([{"device_id": f"d{index}", "site_id": "s"}], before)
        for envelope in (
            event.get("Records", [{}])[0].get("attributes", {}),
            event.get("Records", [{}])[0].get("kinesis", {}),
            event.get("Records", [{}])[0].get("Sns", {}),
            (event.get("records") or {"": [{}]}).popitem()[1][0] if name == "kafka-msk" else {},
            event.get("requestContext", {}),
        ):
            for key in ("SentTimestamp", "approximateArrivalTimestamp", "Timestamp", "timeEpoch", "requestTimeEpoch"):
                if key in envelope:
                    envelope[key] = nonsense
        function(event)
    assert all(found >= before for found in seen().values())
    assert len(seen()) >= 5
