"""HTTP: the whole response for every end of a request, through each of the gateways."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.aws.triggers import recognise
from tests.triggers.answers import NOW, RETRY_AFTER, accepted, body, complaint, none_accepted, not_a_status, response
from tests.triggers.conftest import Context
from tests.triggers.http_requests import BEAT, on_every_gateway, request
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.triggers.conftest import Function

AWAY = "The database cannot be reached: send these heartbeats again"


def missing(index: int) -> dict[str, Any]:
    return complaint(index, None, "device_id", "is missing")


# By name: what is in the body of the request, the answer, which devices were written.
CASES: dict[str, tuple[list[object], int, dict[str, Any], set[str]]] = {
    "one heartbeat": ([ONE], 200, accepted("hvac-001"), {"hvac-001"}),
    "a list": ([ONE, TWO], 200, accepted("hvac-001", "hvac-002"), {"hvac-001", "hvac-002"}),
    "devices": ([{"devices": [ONE, TWO]}], 200, accepted("hvac-001", "hvac-002"), {"hvac-001", "hvac-002"}),
    "one outdated": ([ONE, OUTDATED], 200, accepted("hvac-001", outdated_devices=["newer"]), {"hvac-001"}),
    "one rejected": ([ONE, NAMELESS], 207, accepted("hvac-001", rejected=[missing(1)]), {"hvac-001"}),
    "all rejected": ([NAMELESS, NAMELESS], 400, none_accepted(missing(0), missing(1)), set()),
    "one ignored field": (
        [ONE, ODD],
        200,
        accepted("hvac-001", "hvac-003", ignored_fields=[not_a_status(1, "hvac-003")]),
        {"hvac-001", "hvac-003"},
    ),
    "no JSON": (
        ["{id: 1}"],
        400,
        none_accepted(complaint(0, None, "body", "is not JSON: see line 1, column 2")),
        set(),
    ),
}


@on_every_gateway
@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    name: str, case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    heartbeats, status, answer, written = CASES[case]
    arrived = AT if SAMPLES[name].has_clock else NOW  # the load balancer does not say when the request came
    assert function(SAMPLES[name].event(heartbeats)) == response(name, status, answer)
    assert seen() == dict.fromkeys(written, arrived) | {"newer": newer}


@on_every_gateway
def test_a_database_that_is_away_is_503_with_retry_after(name: str, function: Function, away: Context) -> None:
    answer = function(SAMPLES[name].event([ONE, NAMELESS]), away)
    assert answer == response(name, 503, body(AWAY, rejected=[missing(1)]), **RETRY_AFTER)
    assert function.verdicts() == {"failed": 1, "rejected": ["body: device_id is missing"]}


def test_those_who_are_turned_away_together_do_not_come_back_together(function: Function, away: Context) -> None:
    answers = [function(SAMPLES["http-api"].event([ONE]), away) for _ in range(15)]
    assert len({answer["headers"]["retry-after"] for answer in answers}) > 3


@on_every_gateway
def test_a_response_names_what_was_written_beside_a_failure(
    name: str, function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    answer = function(SAMPLES[name].event([ONE, FAILING]))
    assert answer == response(name, 503, body(AWAY, "hvac-001"), **RETRY_AFTER)
    assert list(seen()) == ["hvac-001"]


@on_every_gateway
def test_more_than_10_000_heartbeats_are_413_with_nothing_written(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    message = "The event holds 10001 heartbeats, at most 10000 are taken: send smaller ones"
    answer = function(SAMPLES[name].event([{"devices": [ONE] * 10_001}]))
    assert answer == response(name, 413, body(message))
    assert not seen()


@on_every_gateway
def test_received_at_and_a_topic_in_the_body_never_count(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    lie = {"received_at": 1_600_000_000, "topic_device": "other", "topic_site": "other"}
    assert function(SAMPLES[name].event([ONE | lie]))["statusCode"] == 200
    assert seen() == {"hvac-001": AT if SAMPLES[name].has_clock else NOW}


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
    assert answer == response(name, 404, body(message))
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
    answer = function(request(name, method, path))
    assert answer == response(name, 405, body(f"Only {allowed} is taken here"), allow=allowed)
    assert not seen()


@pytest.mark.parametrize(("name", "gives_up_after"), [("http-api", 30), ("function-url", 30), ("rest-api", 29)])
def test_the_answer_comes_before_the_gateway_gives_up(name: str, gives_up_after: int) -> None:
    """Checked on the deadline that the store is given, because waiting half a minute would prove no more."""
    event = SAMPLES[name].event([BEAT])
    left = handler._deadline(recognise(event), Context(seconds=900)) - time.monotonic()
    assert gives_up_after - 5 < left < gives_up_after - 4
    left = handler._deadline(recognise(event), Context(seconds=10)) - time.monotonic()
    assert left < 10
