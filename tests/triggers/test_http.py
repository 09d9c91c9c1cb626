"""The HTTP side: routes, methods, sizes, bodies and health."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler, health
from hvac_heartbeat.aws.triggers import recognise
from tests.triggers.conftest import Context
from tests.triggers.kinds import KINDS, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Function

HTTP = [name for name, kind in KINDS.items() if kind.answers == "http"]
on_every_gateway = pytest.mark.parametrize("name", HTTP)
BEAT = {"device_id": "d", "site_id": "s"}


def _request(name: str, method: str, path: str, body: object = BEAT) -> Any:
    event = sample(name)
    if "httpMethod" in event:
        event |= {"httpMethod": method, "path": path}
    else:
        event["rawPath"] = path
        event["requestContext"]["http"] |= {"method": method, "path": path}
    return event | {"body": json.dumps(body), "isBase64Encoded": False}


def _headers(answer: Any) -> dict[str, str]:
    if "headers" in answer:
        found: dict[str, str] = answer["headers"]
        return found
    return {name: value for name, (value,) in answer["multiValueHeaders"].items()}


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeat", "/", "/prod/heartbeat", "/v1/fleet/heartbeat", "/prod/"])
def test_heartbeats_are_posted_to_any_path_that_ends_in_heartbeat_or_a_slash(
    name: str, path: str, function: Function
) -> None:
    assert function(_request(name, "POST", path))["statusCode"] == 200


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeats", "/heartbeat/d", "/healthy", "/admin", "", None, 7])
def test_other_paths_are_not_found(
    name: str, path: Any, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(_request(name, "POST", path))
    assert answer["statusCode"] == 404
    assert _headers(answer)["content-type"] == "application/json"
    assert json.loads(answer["body"]).keys() == {"message", "updated_devices", "timestamp"}
    assert not seen()


@on_every_gateway
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/heartbeat", "POST"),
        ("PUT", "/", "POST"),
        ("DELETE", "/prod/heartbeat", "POST"),
        ("POST", "/health", "GET"),
        ("HEAD", "/prod/health", "GET"),
        (None, "/heartbeat", "POST"),
    ],
)
def test_another_method_is_told_which_one_is_allowed(
    name: str, method: Any, path: str, allowed: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(_request(name, method, path))
    assert answer["statusCode"] == 405
    assert _headers(answer)["allow"] == allowed
    assert not seen()


@on_every_gateway
@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_over_6_mb_is_refused_with_nothing_written(
    name: str, *, encoded: bool, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = json.dumps(BEAT | {"padding": "ü" * (3 * 1024 * 1024)}, ensure_ascii=False)
    event = _request(name, "POST", "/heartbeat")
    event |= {"body": b64encode(body.encode()).decode() if encoded else body, "isBase64Encoded": encoded}
    assert function(event)["statusCode"] == 413
    assert not seen()


@on_every_gateway
def test_a_body_of_nearly_6_mb_is_taken(name: str, function: Function) -> None:
    assert function(_request(name, "POST", "/heartbeat", BEAT | {"padding": "x" * 6_200_000}))["statusCode"] == 200


SPOILED_BODIES = {
    "nothing": (None, "is empty"),
    "blank": (" \n", "is empty"),
    "no JSON": ("device_id=d", "is not JSON"),
    "cut": ('{"device_id": "d"', "is not JSON"),
    "not text": ({"device_id": "d", "site_id": "s"}, "is not text"),
    "nested too deeply": ("[" * 100_000, "is nested too deeply"),
    "nested and closed": ('{"a":' * 5_000 + "1" + "}" * 5_000, "is nested too deeply"),
}


@pytest.mark.parametrize("spoiled", SPOILED_BODIES)
def test_a_malformed_body_is_the_senders_mistake(spoiled: str, function: Function) -> None:
    body, reason = SPOILED_BODIES[spoiled]
    answer = function(_request("http-api", "POST", "/heartbeat") | {"body": body})
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["rejected"] == [
        {"index": 0, "device_id": None, "field": "body", "reason": reason}
    ]


@pytest.mark.parametrize("wrong", ["?", "e30", "ü", "e30=\n", 7, None])
def test_wrong_base64_is_a_malformed_body(wrong: object, function: Function) -> None:
    answer = function(_request("http-api", "POST", "/heartbeat") | {"body": wrong, "isBase64Encoded": True})
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["rejected"][0]["field"] == "body"


SPOILED_VALUES = [
    '"cpu_pct": NaN',
    '"cpu_pct": -Infinity',
    '"cpu_pct": 1e400',
    '"queue_depth": ' + "9" * 5_000,
    '"queue_depth": -' + "9" * 5_000,
    '"agent_version": "\\ud800"',
    '"agent_version": "\ud800"',
    '"agent_version": "raw \x01 control"',
]


@pytest.mark.parametrize(
    "spoiled", SPOILED_VALUES, ids=lambda spoiled: spoiled[:24].encode("ascii", "replace").decode()
)
def test_a_value_that_json_forbids_spoils_only_itself(
    spoiled: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = f'[{{"device_id": "a", "site_id": "s", {spoiled}}}, {{"device_id": "b", "site_id": "s", "cpu_pct": 1}}]'
    answer = function(_request("http-api", "POST", "/heartbeat") | {"body": body})
    assert answer["statusCode"] == 200
    assert [found["index"] for found in json.loads(answer["body"])["ignored_fields"]] == [0]
    assert list(seen()) == ["a", "b"]


@pytest.mark.parametrize("identity", ["NaN", "9" * 5_000, '"\\udfff"', "1e400"])
def test_an_identity_that_json_forbids_spoils_only_its_record(
    identity: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = f'[{{"device_id": {identity}, "site_id": "s"}}, {{"device_id": "b", "site_id": "s"}}]'
    answer = function(_request("http-api", "POST", "/heartbeat") | {"body": body})
    assert answer["statusCode"] == 207
    assert [found["index"] for found in json.loads(answer["body"])["rejected"]] == [0]
    assert list(seen()) == ["b"]


def test_bytes_that_are_not_utf_8_spoil_only_their_record(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = b'\xef\xbb\xbf[{"device_id": "\xff", "site_id": "s"}, {"device_id": "b", "site_id": "s"}]'
    event = _request("http-api", "POST", "/heartbeat")
    answer = function(event | {"body": b64encode(body).decode(), "isBase64Encoded": True})
    assert answer["statusCode"] == 207
    assert list(seen()) == ["b"]


@on_every_gateway
def test_health_is_200_with_the_database_reached_and_503_without(
    name: str, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = function(_request(name, "GET", "/prod/health"))
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["healthy"], body["message"]) == (200, True, "The database answers")
    handler.reset()
    monkeypatch.setenv("DB_HOST", "/nonexistent")
    answer = function(_request(name, "GET", "/health"), Context(seconds=1.0))
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["healthy"]) == (503, False)
    assert _headers(answer)["retry-after"].isdigit()
    assert function.log()[-1]["failure"]


def test_health_is_503_while_the_settings_are_unusable(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_NAME")
    assert function(_request("http-api", "GET", "/health"))["statusCode"] == 503


def test_a_flood_of_probes_is_one_query_in_some_seconds(
    function: Function, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = _request("http-api", "GET", "/health")
    for _ in range(50):
        assert function(probe)["statusCode"] == 200
    waited = [line["database_ms"] for line in function.log()]
    assert waited[0] > 0
    assert waited[1:] == [0] * 49
    monkeypatch.setattr(health, "REMEMBERED_S", 0.0)  # as if that time had passed
    function(probe)
    assert function.log()[0]["database_ms"] > 0


def test_health_asks_nothing_of_the_tables(function: Function, connection: psycopg.Connection) -> None:
    connection.execute("DROP TABLE device_state CASCADE")
    assert function(_request("http-api", "GET", "/health"))["statusCode"] == 200


@pytest.mark.parametrize(("name", "gives_up_after"), [("http-api", 30), ("function-url", 30), ("rest-api", 29)])
def test_the_answer_comes_before_the_gateway_gives_up(name: str, gives_up_after: int) -> None:
    """Checked on the deadline that the store is given, because waiting half a minute would prove no more."""
    event = KINDS[name].event([BEAT], datetime.now(UTC))
    left = handler._deadline(recognise(event), Context(seconds=900)) - time.monotonic()
    assert gives_up_after - 4 < left < gives_up_after - 2
    left = handler._deadline(recognise(event), Context(seconds=10)) - time.monotonic()
    assert left < 10
