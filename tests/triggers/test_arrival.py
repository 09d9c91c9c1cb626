"""last_seen_ts is when a heartbeat arrived in AWS, however late and however often any trigger delivers it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.answers import NOW
from tests.triggers.trigger_samples import AT, ONE, SAMPLES, TWO, TriggerSample

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Function

WITH_CLOCK = [trigger for trigger in SAMPLES.values() if trigger.has_clock]
ROWS = "SELECT device_id, site_id, last_seen_ts, status, agent_version, cpu_pct FROM device_state ORDER BY 1"
# Where each envelope has its clock.
CLOCKS: dict[str, list[Any]] = {
    "http-api": ["requestContext", "timeEpoch"],
    "rest-api": ["requestContext", "requestTimeEpoch"],
    "sqs": ["Records", 0, "attributes", "SentTimestamp"],
    "kinesis": ["Records", 0, "kinesis", "approximateArrivalTimestamp"],
    "kafka-msk": ["records", "heartbeats-0", 0, "timestamp"],
    "sns": ["Records", 0, "Sns", "Timestamp"],
    "eventbridge": ["time"],
}


@pytest.mark.parametrize("trigger", WITH_CLOCK, ids=lambda trigger: trigger.name)
def test_a_backlog_that_comes_late_makes_no_dead_device_look_alive(
    trigger: TriggerSample, function: Function, seen: Callable[[], dict[str, datetime]], connection: psycopg.Connection
) -> None:
    function(SAMPLES["direct"].event([ONE], datetime.now(UTC)))
    function(trigger.event([ONE, TWO]))
    assert seen() == {"hvac-001": NOW, "hvac-002": AT}
    stale = connection.execute("SELECT device_id FROM v_devices_stale").fetchall()
    assert stale == [("hvac-002",)]


@pytest.mark.parametrize("trigger", WITH_CLOCK, ids=lambda trigger: trigger.name)
def test_a_redelivery_in_whole_or_in_part_changes_nothing(
    trigger: TriggerSample, function: Function, connection: psycopg.Connection
) -> None:
    def rows() -> list[tuple[Any, ...]]:
        return connection.execute(ROWS).fetchall()

    batch = [ONE | {"status": "ready", "cpu_pct": 1}, TWO, ONE | {"agent_version": "2"}]
    function(trigger.event(batch))
    first = rows()
    function(trigger.event(batch))
    function(trigger.event(batch[:2]))
    assert rows() == first
    function(trigger.event([ONE | {"site_id": "t", "status": "error"}], AT + timedelta(minutes=1)))
    newer = rows()
    assert newer != first
    function(trigger.event(batch))
    assert rows() == newer


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns", "eventbridge"])
def test_received_at_of_a_plain_queued_heartbeat_does_not_count(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    function(SAMPLES[name].event([ONE | {"received_at": 1_600_000_000}]))
    assert seen() == {"hvac-001": AT}


@pytest.mark.parametrize("name", CLOCKS)
def test_an_unusable_clock_costs_no_heartbeat(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    """Nobody sends those; the heartbeat then arrives when it is written."""
    nonsense: list[object] = [None, True, "soon", "", -1, 0, [], {}, "9" * 400, 10**400, float("nan")]
    *path, clock = CLOCKS[name]
    for index, value in enumerate(nonsense):
        event = SAMPLES[name].event([{"device_id": str(index), "site_id": "s"}])
        reduce(getitem, path, event)[clock] = value
        function(event)
    assert seen() == {str(index): NOW for index in range(len(nonsense))}
