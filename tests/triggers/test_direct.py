"""A direct call: the event is one heartbeat, `{"devices": [...]}` or a list; anything else is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.conftest import NOW
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, TWO

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Context, Function

CLOCK = {"received_at": AT.isoformat()}
NOT_A_STATUS = {"device_id": "hvac-003", "field": "status", "reason": "is not one of ready, degraded, error"}
NONE = {"message": "No heartbeat could be accepted", "updated_devices": []}
# By name: the event, the answer, which devices were written.
CASES: dict[str, tuple[object, int, dict[str, Any], set[str]]] = {
    "one heartbeat": (
        ONE | CLOCK,
        200,
        {"message": "Heartbeat updated for 1 device(s)", "updated_devices": ["hvac-001"]},
        {"hvac-001"},
    ),
    "several": (
        {"devices": [TWO, ONE, TWO], **CLOCK},
        200,
        {"message": "Heartbeat updated for 2 device(s)", "updated_devices": ["hvac-002", "hvac-001"]},
        {"hvac-001", "hvac-002"},
    ),
    "a plain list": (
        [ONE | CLOCK, TWO | CLOCK],
        200,
        {"message": "Heartbeat updated for 2 device(s)", "updated_devices": ["hvac-001", "hvac-002"]},
        {"hvac-001", "hvac-002"},
    ),
    "one outdated": (
        {"devices": [OUTDATED, ONE], **CLOCK},
        200,
        {
            "message": "Heartbeat updated for 1 device(s)",
            "updated_devices": ["hvac-001"],
            "outdated_devices": ["newer"],
        },
        {"hvac-001"},
    ),
    "one rejected": (
        {"devices": [NAMELESS, ONE], **CLOCK},
        207,
        {
            "message": "Heartbeat updated for 1 device(s)",
            "updated_devices": ["hvac-001"],
            "rejected": [{"index": 0, "device_id": None, "field": "device_id", "reason": "is missing"}],
        },
        {"hvac-001"},
    ),
    "one rejected beside an outdated one": (
        [OUTDATED | CLOCK, {"device_id": "x" * 300}],
        207,
        {
            "message": "Heartbeat updated for 0 device(s)",
            "updated_devices": [],
            "outdated_devices": ["newer"],
            "rejected": [
                {"index": 1, "device_id": "x" * 64, "field": "device_id", "reason": "is longer than 256 characters"}
            ],
        },
        set(),
    ),
    "all rejected": (
        {"devices": [NAMELESS, 7], **CLOCK},
        400,
        NONE
        | {
            "rejected": [
                {"index": 0, "device_id": None, "field": "device_id", "reason": "is missing"},
                {"index": 1, "device_id": None, "field": "heartbeat", "reason": "is not a JSON object"},
            ]
        },
        set(),
    ),
    "one ignored field": (
        {"devices": [ONE, ODD], **CLOCK},
        200,
        {
            "message": "Heartbeat updated for 2 device(s)",
            "updated_devices": ["hvac-001", "hvac-003"],
            "ignored_fields": [{"index": 1, **NOT_A_STATUS}],
        },
        {"hvac-001", "hvac-003"},
    ),
    "no list": (
        {"devices": {}},
        400,
        NONE | {"rejected": [{"index": 0, "device_id": None, "field": "devices", "reason": "is not a list"}]},
        set(),
    ),
    "an empty list": (
        {"devices": []},
        400,
        NONE | {"rejected": [{"index": 0, "device_id": None, "field": "devices", "reason": "is empty"}]},
        set(),
    ),
    "a list without a heartbeat": (
        [None, {"eventSource": "aws:s3"}, [[]]],
        400,
        NONE
        | {
            "rejected": [
                {"index": 0, "device_id": None, "field": "heartbeat", "reason": "is not a JSON object"},
                {"index": 1, "device_id": None, "field": "device_id", "reason": "is missing"},
                {"index": 2, "device_id": None, "field": "heartbeat", "reason": "is not a JSON object"},
            ]
        },
        set(),
    ),
    "1,001 complaints": (
        [{}] * 1_001,
        400,
        NONE
        | {
            "rejected": [
                {"index": index, "device_id": None, "field": "device_id", "reason": "is missing"}
                for index in range(1_000)
            ],
            "rejected_count": 1_001,
        },
        set(),
    ),
    "10,001 heartbeats": (
        {"devices": [ONE] * 10_001},
        413,
        {
            "message": "The event holds 10001 heartbeats, at most 10000 are taken: send smaller ones",
            "updated_devices": [],
        },
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    event, status, body, written = CASES[case]
    assert function(event) == {"statusCode": status, "body": body | {"timestamp": NOW}}
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}


def test_of_the_events_clock_and_a_heartbeats_own_the_earlier_counts_and_else_the_databases(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    earlier, before = AT - timedelta(hours=1), datetime.now(UTC)
    unclear = {"index": 2, "device_id": "hvac-003", "field": "received_at", "reason": "is not a time in ISO 8601"}
    assert function({"devices": [ONE | {"received_at": earlier.timestamp()}, TWO], **CLOCK})["statusCode"] == 200
    answer = function([OUTDATED, FAILING, ODD | {"received_at": "soon", "status": None}])
    assert answer["body"]["ignored_fields"] == [unclear]
    written = seen()
    assert (written.pop("hvac-001"), written.pop("hvac-002")) == (earlier, AT)
    assert all(before <= at <= datetime.now(UTC) for at in written.values())


def test_the_caller_gets_an_exception_when_anything_failed(
    function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    with pytest.raises(StoreUnavailable):
        function({"devices": [ONE, FAILING], **CLOCK})
    assert function.verdicts() == {"updated": 1, "failed": 1}
    assert seen() == {"hvac-001": AT}


def test_the_caller_gets_an_exception_while_the_database_is_away(function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function([ONE, NAMELESS], away)
    assert function.verdicts() == {"failed": 1, "rejected": ["event: device_id is missing"]}


def test_what_the_database_refuses_is_told_by_its_constraint_and_nothing_else(
    function: Function, connection: psycopg.Connection
) -> None:
    """The server's own message and detail hold SQL and other devices' values."""
    connection.execute("ALTER TABLE device_state ADD CONSTRAINT known_site CHECK (site_id <> 'building-z')")
    rejection = {"field": "heartbeat", "reason": "violates the database's constraint known_site"}
    assert function([ONE, TWO | {"site_id": "building-z"}]) == {
        "statusCode": 207,
        "body": {
            "message": "Heartbeat updated for 1 device(s)",
            "updated_devices": ["hvac-001"],
            "timestamp": NOW,
            "rejected": [{"index": 1, "device_id": "hvac-002", **rejection}],
        },
    }
