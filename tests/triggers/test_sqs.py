"""SQS: the ids of the messages that should come again or be set aside, and of no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.answers import NOW
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Context, Function

event = SAMPLES["sqs"].event
ALL_DONE: dict[str, Any] = {"batchItemFailures": []}
# By name: the messages, the answer, how the heartbeats ended, which devices were written.
CASES: dict[str, tuple[list[object], dict[str, Any], dict[str, Any], set[str]]] = {
    "all well": ([ONE, TWO], ALL_DONE, {"updated": 2}, {"hvac-001", "hvac-002"}),
    "one outdated": ([ONE, OUTDATED], ALL_DONE, {"updated": 1, "outdated": 1}, {"hvac-001"}),
    "one ignored field": ([ONE, ODD], ALL_DONE, {"updated": 2, "ignored_fields": 1}, {"hvac-001", "hvac-003"}),
    "one rejected": (
        [ONE, NAMELESS, TWO],
        {"batchItemFailures": [{"itemIdentifier": "message-1"}]},
        {"updated": 2, "rejected": ["message-1: device_id is missing"]},
        {"hvac-001", "hvac-002"},
    ),
    "one that is no JSON": (
        [ONE, "{device_id: hvac-002}"],
        {"batchItemFailures": [{"itemIdentifier": "message-1"}]},
        {"updated": 1, "rejected": ["message-1: body is not JSON: see line 1, column 2"]},
        {"hvac-001"},
    ),
    "all rejected": (
        [NAMELESS, ""],
        {"batchItemFailures": [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-1"}]},
        {"rejected": ["message-0: device_id is missing", "message-1: body is empty"]},
        set(),
    ),
    "two bad heartbeats in one message": (
        [{"devices": [ONE, NAMELESS, {}, TWO]}, [ODD]],
        {"batchItemFailures": [{"itemIdentifier": "message-0"}]},
        {
            "updated": 3,
            "ignored_fields": 1,
            "rejected": ["message-0: device_id is missing", "message-0: device_id is missing"],
        },
        {"hvac-001", "hvac-002", "hvac-003"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    messages, answer, verdicts, written = CASES[case]
    assert function(event(messages)) == answer
    assert function.verdicts() == verdicts
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}  # a message arrived when it was sent


def test_messages_that_failed_come_again_and_the_others_are_done(
    function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    sent = event([ONE, FAILING, NAMELESS])
    assert function(sent) == {"batchItemFailures": [{"itemIdentifier": "message-1"}, {"itemIdentifier": "message-2"}]}
    assert function.verdicts() == {"updated": 1, "failed": 1, "rejected": ["message-2: device_id is missing"]}
    assert seen() == {"hvac-001": AT}
    del sent["Records"][1]["messageId"]
    with pytest.raises(StoreUnavailable):  # it could not be reported, and would be gone
        function(sent)


def test_while_the_database_is_away_the_queue_keeps_the_messages_even_without_partial_responses(
    function: Function, away: Context
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(event([ONE, NAMELESS]), away)
    assert function.verdicts() == {"failed": 1, "rejected": ["message-1: device_id is missing"]}


def test_a_message_that_comes_twice_in_a_batch_is_reported_once(function: Function) -> None:
    sent = event([NAMELESS, NAMELESS, ONE])
    sent["Records"][1]["messageId"] = "message-0"
    assert function(sent) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}


def test_a_malformed_message_is_rejected_alone(function: Function, seen: Callable[[], dict[str, datetime]]) -> None:
    """One without an id cannot be reported: Lambda takes an empty name for a failure of the whole batch."""
    sent = event([ONE, TWO])
    del sent["Records"][1]["attributes"]
    sent["Records"] += [{"eventSource": "aws:sqs"}, 7, {"messageId": "", "body": "{}"}, {"messageId": "m", "body": 7}]
    assert function(sent) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert function.verdicts() == {
        "updated": 2,
        "rejected": [
            "record 2: body is missing",
            "record 3: body is missing",
            "record 4: device_id is missing",
            "m: body is not text",
        ],
    }
    assert seen() == {"hvac-001": AT, "hvac-002": NOW}  # which has no clock but the database's


def test_of_nested_envelopes_the_earliest_clock_counts(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    sns, eventbridge = AT - timedelta(minutes=10), AT - timedelta(minutes=20)

    def notification(message: object) -> dict[str, Any]:
        return {"Type": "Notification", "Message": json.dumps(message), "Timestamp": sns.isoformat()}

    def bus_event(detail: object) -> dict[str, Any]:
        return {"detail-type": "x", "source": "y", "time": eventbridge.isoformat(), "detail": detail}

    def beat(device: str) -> dict[str, str]:
        return {"device_id": device, "site_id": "s"}

    messages = [
        beat("bare"),
        notification(beat("sns")),
        bus_event(beat("bus")),
        notification(bus_event(beat("both"))),
        notification({"devices": [beat("list")]}),
        notification(beat("later")) | {"Timestamp": datetime.now(UTC).isoformat()},
        notification(beat("unclear")) | {"Timestamp": "yesterday"},
    ]
    assert function(event(messages)) == {"batchItemFailures": []}
    assert seen() == {
        "bare": AT,
        "sns": sns,
        "bus": eventbridge,
        "both": eventbridge,
        "list": sns,
        "later": AT,
        "unclear": AT,
    }
