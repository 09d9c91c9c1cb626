"""HTTP: the whole response for every end of a request, through each of the gateways."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.aws.triggers import recognise
from tests.triggers.conftest import Context
from tests.triggers.http_requests import BEAT, on_every_gateway, request, response
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function

MISSING = {"device_id": None, "field": "device_id", "reason": "is missing"}
NOT_A_STATUS = {"device_id": "hvac-003", "field": "status", "reason": "is not one of ready, degraded, error"}
NOT_JSON = {"device_id": None, "field": "body", "reason": "is not JSON: see line 1, column 2"}
NONE: dict[str, Any] = {"message": "No heartbeat could be accepted", "updated_devices": []}
# By name: what is in the body of the request, the answer, which devices were written.
CASES: dict[str, tuple[list[object], int, dict[str, Any], set[str]]] = {
    "all well": (
        [ONE, TWO],
        200,
        {"message": "Heartbeat updated for 2 device(s)", "updated_devices": ["hvac-001", "hvac-002"]},
        {"hvac-001", "hvac-002"},
    ),
    "one heartbeat": (
        [{"devices": [ONE]}],
        200,
        {"message": "Heartbeat updated for 1 device(s)", "updated_devices": ["hvac-001"]},
        {"hvac-001"},
    ),
    "one outdated": (
        [ONE, OUTDATED],
        200,
        {
            "message": "Heartbeat updated for 1 device(s)",
            "updated_devices": ["hvac-001"],
            "outdated_devices": ["newer"],
        },
        {"hvac-001"},
    ),
    "one rejected": (
        [ONE, NAMELESS],
        207,
        {
            "message": "Heartbeat updated for 1 device(s)",
            "updated_devices": ["hvac-001"],
            "rejected": [{"index": 1, **MISSING}],
        },
        {"hvac-001"},
    ),
    "all rejected": (
        [NAMELESS, NAMELESS],
        400,
        NONE | {"rejected": [{"index": 0, **MISSING}, {"index": 1, **MISSING}]},
        set(),
    ),
    "one ignored field": (
        [ONE, ODD],
        200,
        {
            "message": "Heartbeat updated for 2 device(s)",
            "updated_devices": ["hvac-001", "hvac-003"],
            "ignored_fields": [{"index": 1, **NOT_A_STATUS}],
        },
        {"hvac-001", "hvac-003"},
    ),
    "no JSON": (["{id: 1}"], 400, NONE | {"rejected": [{"index": 0, **NOT_JSON}]}, set()),
}


@on_every_gateway
@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    name: str, case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    heartbeats, status, body, written = CASES[case]
    before = datetime.now(UTC)
    assert function(SAMPLES[name].event(heartbeats)) == response(name, status, body)
    found = seen()
    assert found.pop("newer") == newer
    assert found.keys() == written
    if SAMPLES[name].has_clock:
        assert set(found.values()) <= {AT}
    else:  # the load balancer does not say when the request came
        assert all(before <= at <= datetime.now(UTC) for at in found.values())


@on_every_gateway
def test_a_database_that_is_away_is_503_with_retry_after(name: str, function: Function, away: Context) -> None:
    body = {
        "message": "The database cannot be reached: send these heartbeats again",
        "updated_devices": [],
        "rejected": [{"index": 1, **MISSING}],
    }
    answer = function(SAMPLES[name].event([ONE, NAMELESS]), away)
    assert answer == response(name, 503, body, **{"retry-after": "5"})


@on_every_gateway
def test_what_was_written_beside_a_failure_is_told(
    name: str, function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    message = "The database cannot be reached: send these heartbeats again"
    answer = function(SAMPLES[name].event([ONE, FAILING]))
    body = {"message": message, "updated_devices": ["hvac-001"]}
    assert answer == response(name, 503, body, **{"retry-after": "5"})
    assert list(seen()) == ["hvac-001"]


@on_every_gateway
def test_more_than_10_000_heartbeats_are_413_with_nothing_written(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    message = "The event holds 10001 heartbeats, at most 10000 are taken: send smaller ones"
    answer = function(SAMPLES[name].event([{"devices": [ONE] * 10_001}]))
    assert answer == response(name, 413, {"message": message, "updated_devices": []})
    assert not seen()


@pytest.mark.parametrize("name", ["http-api", "function-url", "rest-api", "load-balancer"])
def test_received_at_and_a_topic_in_the_body_never_count(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    lie = {"received_at": 1_600_000_000, "topic_device": "other", "topic_site": "other"}
    assert function(SAMPLES[name].event([ONE | lie], at))["statusCode"] == 200
    found = seen()
    assert list(found) == ["hvac-001"]
    assert found["hvac-001"] >= at


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeat", "/", "/prod/heartbeat", "/v1/fleet/heartbeat", "/prod/"])
def test_heartbeats_are_posted_to_any_path_that_ends_in_heartbeat_or_a_slash(
    name: str, path: str, function: Function
) -> None:
    assert function(request(name, "POST", path))["statusCode"] == 200


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeats", "/heartbeat/d", "/healthy", "/admin", "", None, 7])
def test_other_paths_are_not_found(
    name: str, path: Any, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    message = "There is nothing here: POST heartbeats to /heartbeat, or GET /health"
    answer = function(request(name, "POST", path))
    assert answer == response(name, 404, {"message": message, "updated_devices": []})
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
    name: str, method: Any, path: str, allowed: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    body = {"message": f"Only {allowed} is taken here", "updated_devices": []}
    assert function(request(name, method, path)) == response(name, 405, body, allow=allowed)
    assert not seen()


@pytest.mark.parametrize(("name", "gives_up_after"), [("http-api", 30), ("function-url", 30), ("rest-api", 29)])
def test_the_answer_comes_before_the_gateway_gives_up(name: str, gives_up_after: int) -> None:
    """Checked on the deadline that the store is given, because waiting half a minute would prove no more."""
    event = SAMPLES[name].event([BEAT], datetime.now(UTC))
    left = handler._deadline(recognise(event), Context(seconds=900)) - time.monotonic()
    assert gives_up_after - 5 < left < gives_up_after - 4
    left = handler._deadline(recognise(event), Context(seconds=10)) - time.monotonic()
    assert left < 10
