"""SNS: an answer that nobody reads, and an exception when the notification should come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.answers import accepted, complaint, none_accepted, not_a_status
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.triggers.conftest import Context, Function

event = SAMPLES["sns"].event
MESSAGE_ID = "95df01b4-ee98-5cb9-9903-4c221d41eb5e"
# By name: the heartbeats of one notification, the answer, what the log says, which devices were written.
CASES: dict[str, tuple[list[object], int, dict[str, Any], dict[str, Any], set[str]]] = {
    "all well": ([ONE, TWO], 200, accepted("hvac-001", "hvac-002"), {"updated": 2}, {"hvac-001", "hvac-002"}),
    "one outdated": (
        [ONE, OUTDATED],
        200,
        accepted("hvac-001", outdated_devices=["newer"]),
        {"updated": 1, "outdated": 1},
        {"hvac-001"},
    ),
    "one rejected": (
        [ONE, NAMELESS],
        207,
        accepted("hvac-001", rejected=[complaint(1, None, "device_id", "is missing")]),
        {"updated": 1, "rejected": [f"{MESSAGE_ID}: device_id is missing"]},
        {"hvac-001"},
    ),
    "one ignored field": (
        [ONE, ODD],
        200,
        accepted("hvac-001", "hvac-003", ignored_fields=[not_a_status(1, "hvac-003")]),
        {"updated": 2, "ignored_fields": 1},
        {"hvac-001", "hvac-003"},
    ),
    "no JSON": (
        ["{id: 1}"],
        400,
        none_accepted(complaint(0, None, "body", "is not JSON: see line 1, column 2")),
        {"rejected": [f"{MESSAGE_ID}: body is not JSON: see line 1, column 2"]},
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    heartbeats, status, answer, verdicts, written = CASES[case]
    assert function(event(heartbeats)) == {"statusCode": status, "body": answer}
    assert function.verdicts() == verdicts
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}  # it arrived when it was published


def test_the_notification_comes_again_when_anything_failed(
    function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    with pytest.raises(StoreUnavailable):
        function(event([ONE, FAILING, TWO]))
    assert function.verdicts() == {"updated": 2, "failed": 1}
    assert seen() == {"hvac-001": AT, "hvac-002": AT}


def test_the_notification_comes_again_while_the_database_is_away(function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(event([ONE, NAMELESS]), away)
    assert function.verdicts() == {"failed": 1, "rejected": [f"{MESSAGE_ID}: device_id is missing"]}


def test_a_malformed_notification_is_rejected_alone(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    sent = event([ONE])
    sent["Records"] += [{"EventSource": "aws:sns"}, 7, {"Sns": {"MessageId": "m", "Message": 7}}]
    assert function(sent)["statusCode"] == 207
    assert function.verdicts() == {
        "updated": 1,
        "rejected": ["record 1: body is missing", "record 2: body is missing", "m: body is not text"],
    }
    assert seen() == {"hvac-001": AT}
