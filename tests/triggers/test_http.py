"""The HTTP side: routes, methods, and the time that a gateway gives us."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.aws.triggers import recognise
from tests.triggers.conftest import Context
from tests.triggers.http_requests import BEAT, headers, on_every_gateway, request
from tests.triggers.trigger_samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeat", "/", "/prod/heartbeat", "/v1/fleet/heartbeat", "/prod/"])
def test_heartbeats_are_posted_to_any_path_that_ends_in_heartbeat_or_a_slash(
    name: str, path: str, function: Function
) -> None:
    assert function(request(name, "POST", path))["statusCode"] == 200


@on_every_gateway
@pytest.mark.parametrize("path", ["/heartbeats", "/heartbeat/d", "/healthy", "/admin", "", None, 7])
def test_other_paths_are_not_found(
    name: str, path: Any, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    answer = function(request(name, "POST", path))
    assert answer["statusCode"] == 404
    assert headers(answer)["content-type"] == "application/json"
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
    answer = function(request(name, method, path))
    assert answer["statusCode"] == 405
    assert headers(answer)["allow"] == allowed
    assert not seen()


@pytest.mark.parametrize(("name", "gives_up_after"), [("http-api", 30), ("function-url", 30), ("rest-api", 29)])
def test_the_answer_comes_before_the_gateway_gives_up(name: str, gives_up_after: int) -> None:
    """Checked on the deadline that the store is given, because waiting half a minute would prove no more."""
    event = SAMPLES[name].event([BEAT], datetime.now(UTC))
    left = handler._deadline(recognise(event), Context(seconds=900)) - time.monotonic()
    assert gives_up_after - 5 < left < gives_up_after - 4
    left = handler._deadline(recognise(event), Context(seconds=10)) - time.monotonic()
    assert left < 10
