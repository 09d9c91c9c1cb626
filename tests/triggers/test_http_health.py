"""GET /health: whether the database can be reached, answered soon and without asking it too often."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from hvac_heartbeat.aws import handler, health
from tests.triggers.answers import NOW, RETRY_AFTER, response
from tests.triggers.conftest import Context
from tests.triggers.http_requests import on_every_gateway, request

if TYPE_CHECKING:
    import psycopg
    import pytest

    from tests.triggers.conftest import Function


@on_every_gateway
def test_health_is_200_with_the_database_reached_and_503_without(
    name: str, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = function(request(name, "GET", "/prod/health"))
    assert answer == response(name, 200, {"message": "The database answers", "healthy": True, "timestamp": NOW})
    handler.reset()
    monkeypatch.setenv("DB_HOST", "/nonexistent")
    answer = function(request(name, "GET", "/health"), Context(seconds=1.0))
    body = {"message": "The database cannot be reached", "healthy": False, "timestamp": NOW}
    assert answer == response(name, 503, body, **RETRY_AFTER)
    assert function.log()[-1]["failure"]


def test_health_is_503_while_the_settings_are_unusable(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_NAME")
    assert function(request("http-api", "GET", "/health"))["statusCode"] == 503


def test_a_flood_of_probes_is_one_query_in_some_seconds(
    function: Function, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = request("http-api", "GET", "/health")
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
    assert function(request("http-api", "GET", "/health"))["statusCode"] == 200


def test_health_answers_within_two_seconds_whatever_the_server_does(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DB_HOST", "127.0.0.1")
        monkeypatch.setenv("DB_PORT", str(silent.getsockname()[1]))
        monkeypatch.setenv("DB_PASSWORD", "p")
        started = time.monotonic()
        assert function(request("http-api", "GET", "/health"))["statusCode"] == 503
        assert time.monotonic() - started < 2
