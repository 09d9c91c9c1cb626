"""last_seen_ts is when a heartbeat arrived in AWS, however late and however often it is delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.trigger_samples import SAMPLES, TriggerSample, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Function

WITH_CLOCK = [kind for kind in SAMPLES.values() if kind.has_clock]
TWO = [{"device_id": device, "site_id": "s"} for device in ("alive", "dead")]
ROWS = "SELECT device_id, site_id, last_seen_ts, status, agent_version, cpu_pct FROM device_state ORDER BY 1"


def _ago(**much: float) -> datetime:
    return (datetime.now(UTC) - timedelta(**much)).replace(microsecond=0)


@pytest.mark.parametrize("kind", WITH_CLOCK, ids=lambda kind: kind.name)
def test_a_backlog_an_hour_late_makes_no_dead_device_look_alive(
    kind: TriggerSample, function: Function, seen: Callable[[], dict[str, Any]], connection: psycopg.Connection
) -> None:
    an_hour_ago = _ago(hours=1)
    function(kind.event(TWO, an_hour_ago))
    function(SAMPLES["direct"].event([TWO[0]], _ago(seconds=5)))
    assert seen()["dead"] == an_hour_ago
    stale = connection.execute("SELECT device_id FROM v_devices_stale").fetchall()
    assert stale == [("dead",)]


@pytest.mark.parametrize("kind", WITH_CLOCK, ids=lambda kind: kind.name)
def test_a_redelivery_in_whole_or_in_part_changes_nothing(
    kind: TriggerSample, function: Function, connection: psycopg.Connection
) -> None:
    def rows() -> list[tuple[Any, ...]]:
        return connection.execute(ROWS).fetchall()

    batch = [
        {"device_id": "a", "site_id": "s", "status": "ready", "cpu_pct": 1},
        {"device_id": "b", "site_id": "s"},
        {"device_id": "a", "site_id": "s", "agent_version": "2"},
    ]
    at = _ago(minutes=3)
    function(kind.event(batch, at))
    first = rows()
    function(kind.event(batch, at))
    function(kind.event(batch[:2], at))
    assert rows() == first
    function(kind.event([{"device_id": "a", "site_id": "t", "status": "error"}], at + timedelta(minutes=1)))
    newer = rows()
    function(kind.event(batch, at))
    assert rows() == newer


def test_of_nested_envelopes_the_earliest_clock_counts(function: Function, seen: Callable[[], dict[str, Any]]) -> None:
    sqs, sns, eventbridge = _ago(minutes=10), _ago(minutes=20), _ago(minutes=30)

    def notification(message: object) -> dict[str, Any]:
        return {"Type": "Notification", "Message": json.dumps(message), "Timestamp": sns.isoformat()}

    def bus_event(detail: object) -> dict[str, Any]:
        return {"detail-type": "x", "source": "y", "time": eventbridge.isoformat(), "detail": detail}

    def beat(device: str) -> dict[str, str]:
        return {"device_id": device, "site_id": "s"}

    bodies = [
        beat("bare"),
        notification(beat("sns")),
        bus_event(beat("bus")),
        notification(bus_event(beat("both"))),
        notification({"devices": [beat("list")]}),
        notification(beat("later")) | {"Timestamp": datetime.now(UTC).isoformat()},
        notification(beat("unclear")) | {"Timestamp": "yesterday"},
    ]
    assert function(SAMPLES["sqs"].event(bodies, sqs)) == {"batchItemFailures": []}
    assert seen() == {
        "bare": sqs,
        "both": eventbridge,
        "bus": eventbridge,
        "later": sqs,
        "list": sns,
        "sns": sns,
        "unclear": sqs,
    }


@pytest.mark.parametrize("name", ["http-api", "function-url", "rest-api", "load-balancer"])
def test_received_at_in_an_http_body_never_counts(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    at = _ago(minutes=1)
    lie = {"received_at": 1_600_000_000, "topic_device": "other", "topic_site": "other"}
    answer = function(SAMPLES[name].event([{"device_id": "d", "site_id": "s"} | lie], at))
    assert answer["statusCode"] == 200
    found = seen()
    assert list(found) == ["d"]
    assert found["d"] >= at


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns"])
def test_what_an_iot_rule_forwards_keeps_its_topic_and_its_clock(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    at = _ago(minutes=7)
    forwarded = {"status": "ready", "topic_device": "d", "topic_site": "s", "received_at": at.timestamp() * 1000}
    function(SAMPLES[name].event([forwarded], _ago(minutes=1)))
    assert seen() == {"d": at}


@pytest.mark.parametrize("name", ["iot", "direct", "sqs", "kinesis"])
@pytest.mark.parametrize("digits", [10, 13])
def test_a_rules_clock_as_digits_is_an_epoch_and_no_date(
    name: str, digits: int, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    """`1770101121259` has once been read as a day in the year 1770."""
    at = _ago(minutes=7)
    beat = {"device_id": "d", "site_id": "s", "received_at": f"{round(at.timestamp() * 1000)}"[:digits]}
    if name not in ("iot", "direct"):
        function(SAMPLES[name].event([beat | {"topic_device": "d", "topic_site": "s"}], _ago(minutes=1)))
    else:
        function(beat | ({"topic_device": "d"} if name == "iot" else {}))
    assert seen() == {"d": at}


@pytest.mark.parametrize("name", ["iot", "sqs", "kinesis", "kafka-msk", "sns"])
@pytest.mark.parametrize("lie", [1_600_000_000, 4_000_000_000, "soon", None])
def test_a_gateway_does_not_say_when_its_devices_were_seen(
    name: str, lie: object, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    """The rule's own clock stands beside the gateway's list; what is in the list is the gateway's."""
    at = _ago(minutes=7)
    gateway = {"devices": [{"device_id": "d", "received_at": lie}], "topic_site": "s", "received_at": at.timestamp()}
    event = gateway if name == "iot" else SAMPLES[name].event([gateway], _ago(minutes=1))
    answer = function(event)
    assert seen() == {"d": at}
    assert "ignored_fields" not in str(answer)


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


def test_the_topic_outranks_the_payload(function: Function, seen: Callable[[], dict[str, Any]]) -> None:
    assert function(sample("iot") | {"device_id": "somebody-else", "site_id": 7})["statusCode"] == 200
    assert list(seen()) == ["hvac-001"]


@pytest.mark.parametrize("wrong", [7.5, True, [], {}, "", " ", "\0", "x" * 257])
def test_a_topic_of_the_wrong_type_is_a_rejection(
    wrong: object, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(sample("iot") | {"device_id": "d", "site_id": "s", "topic_device": wrong})
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["rejected"][0]["field"] == "device_id"
    assert not seen()
