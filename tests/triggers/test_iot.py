"""An IoT rule: the topic says whose heartbeat it is and the rule when it came, also through a queue or a stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.answers import accepted, complaint, none_accepted, not_a_status
from tests.triggers.trigger_samples import AT, ODD, SAMPLES, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg

    from tests.triggers.conftest import Context, Function

EARLIER, LATER = AT - timedelta(minutes=7), AT + timedelta(minutes=7)
# By name: what a rule adds to the sample, the answer, which devices were written.
CASES: dict[str, tuple[dict[str, object], int, dict[str, Any], set[str]]] = {
    "all well": ({}, 200, accepted("hvac-001"), {"hvac-001"}),
    "the topic outranks the payload": ({"device_id": "other", "site_id": 7}, 200, accepted("hvac-001"), {"hvac-001"}),
    "outdated": ({"topic_device": "newer"}, 200, accepted(outdated_devices=["newer"]), set()),
    "rejected": (
        {"topic_device": " ", "device_id": "hvac-001"},
        400,
        none_accepted(complaint(0, " ", "device_id", "is blank")),
        set(),
    ),
    "an ignored field": (
        {"status": "asleep"},
        200,
        accepted("hvac-001", ignored_fields=[not_a_status(0, "hvac-001")]),
        {"hvac-001"},
    ),
    "a gateway's list": (
        {"devices": [{"device_id": "a", "site_id": "other"}, ODD, 7], "topic_device": None},
        207,
        accepted(
            "a",
            "hvac-003",
            rejected=[complaint(2, None, "heartbeat", "is not a JSON object")],
            ignored_fields=[not_a_status(1, "hvac-003")],
        ),
        {"a", "hvac-003"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    case: str,
    function: Function,
    newer: datetime,
    seen: Callable[[], dict[str, datetime]],
    connection: psycopg.Connection,
) -> None:
    added, status, answer, written = CASES[case]
    assert function(sample("iot") | added) == {"statusCode": status, "body": answer}
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}
    assert connection.execute("SELECT DISTINCT site_id FROM device_state").fetchall() == [("building-a",)]


def test_the_rule_calls_again_while_the_database_is_away(function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(sample("iot"), away)
    assert function.verdicts() == {"failed": 1}


@pytest.mark.parametrize("wrong", [7.5, True, [], {}, "", " ", "\0", "x" * 257])
def test_a_topic_of_the_wrong_type_is_a_rejection(
    wrong: object, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    answer = function(sample("iot") | {"device_id": "d", "site_id": "s", "topic_device": wrong})
    assert answer["statusCode"] == 400
    assert answer["body"]["rejected"][0]["field"] == "device_id"
    assert not seen()


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns"])
@pytest.mark.parametrize("rule", [EARLIER, LATER])
def test_what_a_rule_forwards_keeps_its_topic_and_the_earlier_of_both_clocks(
    name: str, rule: datetime, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    """A rule is before its queue; whoever writes a later time there himself is not seen any later for it."""
    forwarded = sample("iot") | {"received_at": rule.timestamp() * 1000, "device_id": "other"}
    function(SAMPLES[name].event([forwarded]))
    assert seen() == {"hvac-001": min(rule, AT)}


@pytest.mark.parametrize("name", ["sqs", "kinesis"])
def test_a_rule_and_other_senders_share_a_queue_or_a_stream(
    name: str,
    function: Function,
    seen: Callable[[], dict[str, datetime]],
    connection: psycopg.Connection,
) -> None:
    """Each record is read by itself: a sender without a topic is taken at its word, but not for the time."""
    rule = sample("iot") | {"received_at": EARLIER.timestamp() * 1000}
    plain = {"device_id": "plain", "site_id": "s", "received_at": EARLIER.timestamp() * 1000}
    gateway = {
        "devices": [{"device_id": "d", "site_id": "other"}],
        "topic_site": "s",
        "received_at": EARLIER.isoformat(),
    }
    function(SAMPLES[name].event([rule, plain, gateway]))
    assert seen() == {"hvac-001": EARLIER, "plain": AT, "d": EARLIER}
    rows = connection.execute("SELECT device_id, site_id FROM device_state ORDER BY 1").fetchall()
    assert rows == [("d", "s"), ("hvac-001", "building-a"), ("plain", "s")]


@pytest.mark.parametrize("name", ["iot", "sqs", "kinesis"])
@pytest.mark.parametrize("digits", [10, 13])
def test_a_rules_clock_as_digits_is_an_epoch_and_no_date(
    name: str, digits: int, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    """`1770101121259` has once been read as a day in the year 1770."""
    beat = sample("iot") | {"received_at": f"{round(EARLIER.timestamp() * 1000)}"[:digits]}
    function(beat if name == "iot" else SAMPLES[name].event([beat]))
    assert seen() == {"hvac-001": EARLIER if digits == 13 else EARLIER.replace(microsecond=0)}


@pytest.mark.parametrize("name", ["iot", "sqs", "kinesis", "kafka-msk", "sns"])
@pytest.mark.parametrize("lie", [1_600_000_000, 4_000_000_000, "soon", None])
def test_a_gateway_does_not_say_when_its_devices_were_seen(
    name: str, lie: object, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    """The rule's own clock stands beside the gateway's list; what is in the list is the gateway's."""
    devices = [{"device_id": "d", "received_at": lie}]
    gateway = {"devices": devices, "topic_site": "s", "received_at": EARLIER.isoformat()}
    answer = function(gateway if name == "iot" else SAMPLES[name].event([gateway]))
    assert seen() == {"d": EARLIER}
    assert "ignored_fields" not in str(answer)
