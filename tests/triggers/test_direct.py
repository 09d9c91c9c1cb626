"""A direct call: the event is one heartbeat, `{"devices": [...]}` or a list; anything else is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.answers import NOW, accepted, body, complaint, none_accepted, not_a_status
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, TWO

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Context, Function

CLOCK = {"received_at": AT.isoformat()}
# By name: the event, the answer, which devices were written.
CASES: dict[str, tuple[object, int, dict[str, Any], set[str]]] = {
    "one heartbeat": (ONE | CLOCK, 200, accepted("hvac-001"), {"hvac-001"}),
    "several, in the order of the event": (
        {"devices": [TWO, ONE, TWO], **CLOCK},
        200,
        accepted("hvac-002", "hvac-001"),
        {"hvac-001", "hvac-002"},
    ),
    "a list": ([ONE | CLOCK, TWO | CLOCK], 200, accepted("hvac-001", "hvac-002"), {"hvac-001", "hvac-002"}),
    "one outdated": (
        {"devices": [OUTDATED, ONE], **CLOCK},
        200,
        accepted("hvac-001", outdated_devices=["newer"]),
        {"hvac-001"},
    ),
    "one rejected": (
        {"devices": [NAMELESS, ONE], **CLOCK},
        207,
        accepted("hvac-001", rejected=[complaint(0, None, "device_id", "is missing")]),
        {"hvac-001"},
    ),
    "one rejected beside an outdated one, and cut to 64 characters": (
        [OUTDATED | CLOCK, {"device_id": "x" * 300}],
        207,
        accepted(
            outdated_devices=["newer"],
            rejected=[complaint(1, "x" * 64, "device_id", "is longer than 256 characters")],
        ),
        set(),
    ),
    "one ignored field": (
        {"devices": [ONE, ODD], **CLOCK},
        200,
        accepted("hvac-001", "hvac-003", ignored_fields=[not_a_status(1, "hvac-003")]),
        {"hvac-001", "hvac-003"},
    ),
    "a list without a heartbeat": (
        [None, {"eventSource": "aws:s3"}, [[]]],
        400,
        none_accepted(
            complaint(0, None, "heartbeat", "is not a JSON object"),
            complaint(1, None, "device_id", "is missing"),
            complaint(2, None, "heartbeat", "is not a JSON object"),
        ),
        set(),
    ),
    "no list": ({"devices": {}}, 400, none_accepted(complaint(0, None, "devices", "is not a list")), set()),
    "an empty list": ({"devices": []}, 400, none_accepted(complaint(0, None, "devices", "is empty")), set()),
    "1,001 complaints": (
        [{}] * 1_001,
        400,
        none_accepted(
            *(complaint(index, None, "device_id", "is missing") for index in range(1_000)), rejected_count=1_001
        ),
        set(),
    ),
    "10,001 heartbeats": (
        {"devices": [ONE] * 10_001},
        413,
        body("The event holds 10001 heartbeats, at most 10000 are taken: send smaller ones"),
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    event, status, answer, written = CASES[case]
    assert function(event) == {"statusCode": status, "body": answer}
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}


def test_of_the_events_clock_and_a_heartbeats_own_the_earlier_counts_and_else_the_databases(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    earlier = AT - timedelta(hours=1)
    assert function({"devices": [ONE | {"received_at": earlier.timestamp()}, TWO], **CLOCK})["statusCode"] == 200
    answer = function([OUTDATED, FAILING, ODD | {"received_at": "soon", "status": None}])
    assert answer["body"]["ignored_fields"] == [complaint(2, "hvac-003", "received_at", "is not a time in ISO 8601")]
    assert seen() == {"hvac-001": earlier, "hvac-002": AT, "failing": NOW, "hvac-003": NOW, "newer": NOW}


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


def test_what_the_database_refuses_names_its_constraint_and_nothing_else(
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
