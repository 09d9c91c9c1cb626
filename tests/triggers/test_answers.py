"""The exact answer of every trigger: all good, one bad among good, all bad."""

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

GOOD = [{"device_id": device, "site_id": "building-a"} for device in ("d1", "d2", "d3")]
BAD = {"device_id": " ", "site_id": "building-a"}
REASON = {"device_id": " ", "field": "device_id", "reason": "is blank"}

every_kind = pytest.mark.parametrize("kind", SAMPLES.values(), ids=SAMPLES.keys())


def _now() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


def _check(answer: Any, kind: TriggerSample, status: int, body: dict[str, Any], reported: list[str]) -> None:
    """Compare with the whole answer that this kind of trigger gives."""
    if kind.answers in ("items", "stream"):
        assert answer == {"batchItemFailures": [{"itemIdentifier": name} for name in reported]}
        return
    said = json.loads(answer.pop("body"))
    assert datetime.fromisoformat(said.pop("timestamp")) - datetime.now(UTC) < timedelta(seconds=10)
    assert said == body
    rest: dict[str, Any] = {"statusCode": status}
    if kind.answers == "http":
        rest["isBase64Encoded"] = False
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        if "multi-value" in kind.name:
            rest["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
        else:
            rest["headers"] = headers
    if "load-balancer" in kind.name:
        rest["statusDescription"] = {200: "200 OK", 207: "207 Multi-Status", 400: "400 Bad Request"}[status]
    assert answer == rest


@every_kind
def test_all_good(kind: TriggerSample, function: Function, seen: Callable[[], dict[str, Any]]) -> None:
    at = _now()
    answer = function(kind.event(GOOD, at))
    body = {"message": "Heartbeat updated for 3 device(s)", "updated_devices": ["d1", "d2", "d3"]}
    _check(answer, kind, 200, body, reported=[])
    assert list(seen()) == ["d1", "d2", "d3"]
    if kind.has_clock:
        assert all(abs(found - at) < timedelta(milliseconds=2) for found in seen().values())


@every_kind
def test_one_bad_among_good_is_told_and_costs_the_others_nothing(
    kind: TriggerSample, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(kind.event([GOOD[0], BAD, GOOD[2]], _now()))
    body = {
        "message": "Heartbeat updated for 2 device(s)",
        "updated_devices": ["d1", "d3"],
        "rejected": [{"index": 1, **REASON}],
    }
    reported = ["message-1"] if kind.answers == "items" else []
    _check(answer, kind, 207, body, reported)
    assert list(seen()) == ["d1", "d3"]


@every_kind
def test_all_bad_is_an_answer_and_never_an_exception(
    kind: TriggerSample, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(kind.event([BAD, BAD], _now()))
    body = {
        "message": "No heartbeat could be accepted",
        "updated_devices": [],
        "rejected": [{"index": 0, **REASON}, {"index": 1, **REASON}],
    }
    reported = ["message-0", "message-1"] if kind.answers == "items" else []
    _check(answer, kind, 400, body, reported)
    assert not seen()


@pytest.mark.parametrize("kind", [kind for kind in SAMPLES.values() if kind.answers != "direct"], ids=lambda k: k.name)
def test_a_body_that_is_no_json_is_one_bad_record(kind: TriggerSample, function: Function) -> None:
    answer = function(kind.event(["{device_id: hvac-001}"], _now()))
    body = {
        "message": "No heartbeat could be accepted",
        "updated_devices": [],
        "rejected": [{"index": 0, "device_id": None, "field": "body", "reason": "is not JSON: see line 1, column 2"}],
    }
    _check(answer, kind, 400, body, reported=["message-0"] if kind.answers == "items" else [])


def test_a_message_with_several_heartbeats_of_which_one_is_bad_is_reported_once_and_its_good_ones_are_written(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    event = SAMPLES["sqs"].event([{"devices": [GOOD[0], BAD, BAD, GOOD[1]]}, GOOD[2]], _now())
    assert function(event) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert list(seen()) == ["d1", "d2", "d3"]


def test_a_message_without_an_id_is_never_reported_under_an_empty_name(function: Function) -> None:
    event = SAMPLES["sqs"].event([BAD, BAD, GOOD[0]], _now())
    event["Records"][0]["messageId"] = ""
    del event["Records"][1]["messageId"]
    assert function(event) == {"batchItemFailures": []}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sqs", "message-0"),
        ("kinesis", "shardId-000000000006:0"),
        ("pipes-kinesis", "shardId-000000000006:0"),
        ("kafka-msk", "heartbeats-0@15"),
        ("pipes-kafka", "heartbeats-0@15"),
    ],
)
def test_the_log_names_the_rejected_record(kind: str, name: str, function: Function) -> None:
    function(SAMPLES[kind].event([BAD], _now()))
    (line, _) = function.log()
    assert (line["level"], line["message"], line["record"]) == ("WARNING", "heartbeat rejected", name)
    assert (line["field"], line["reason"]) == ("device_id", "is blank")


def test_a_whole_kinesis_record_name_is_in_the_log(function: Function) -> None:
    event = sample("kinesis")
    event["Records"][0]["kinesis"]["data"] = "e30="
    function(event)
    assert function.log()[0]["record"] == event["Records"][0]["eventID"]


@pytest.mark.parametrize("name", ["http-api", "direct"])
def test_more_than_10_000_heartbeats_are_refused_with_nothing_written(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    heartbeats = [{"device_id": str(number), "site_id": "s"} for number in range(10_001)]
    answer = function(SAMPLES[name].event(heartbeats, _now()))
    assert answer["statusCode"] == 413
    assert json.loads(answer["body"])["updated_devices"] == []
    assert not seen()


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns", "eventbridge"])
def test_a_record_of_more_than_10_000_heartbeats_is_rejected_as_one(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    too_many = [{"device_id": str(number), "site_id": "s"} for number in range(10_001)]
    in_one_record = name in ("sns", "eventbridge")
    function(SAMPLES[name].event(too_many if in_one_record else [{"devices": too_many}, GOOD[0]], _now()))
    rejection, invocation = function.log()
    assert rejection["reason"] == "holds 10001 heartbeats, at most 10000 are taken: send smaller ones"
    assert invocation["rejected"] == 1
    assert list(seen()) == ([] if in_one_record else ["d1"])


def test_an_event_of_more_than_10_000_heartbeats_is_written_in_parts(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    records = [
        {"devices": [{"device_id": f"{record}-{number}", "site_id": "s"} for number in range(5_000)]}
        for record in range(3)
    ]
    assert function(SAMPLES["sqs"].event(records, _now())) == {"batchItemFailures": []}
    assert len(seen()) == 15_000


@pytest.mark.parametrize("kind", [SAMPLES["http-api"], SAMPLES["direct"]], ids=lambda kind: kind.name)
def test_what_the_database_refuses_is_told_by_its_constraint_and_nothing_else(
    kind: TriggerSample, function: Function, connection: psycopg.Connection
) -> None:
    """The server's own message and detail hold SQL and other devices' values."""
    connection.execute("ALTER TABLE device_state ADD CONSTRAINT known_site CHECK (site_id <> 'building-z')")
    body = json.loads(function(kind.event([GOOD[0], {"device_id": "d9", "site_id": "building-z"}], _now()))["body"])
    assert body["updated_devices"] == ["d1"]
    (found,) = body["rejected"]
    assert (found["index"], found["device_id"]) == (1, "d9")
    assert found["reason"] == "violates the database's constraint known_site"
