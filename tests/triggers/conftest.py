"""The function as Lambda calls it, against the test's own database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from tests.conftest import TABLE_AND_VIEW, _new_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.conftest import Database, TestServer


@dataclass
class Context:
    """What Lambda hands over beside the event."""

    seconds: float = 30.0
    function_name: str = "hvac-heartbeat"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Function:
    """A warm container and what it wrote to the log."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, event: object, context: object = None) -> Any:
        """Invoke the function with an event as Lambda decodes it, and take the answer as Lambda encodes it."""
        answer = handler.lambda_handler(event, context or Context())
        return json.loads(json.dumps(answer))

    def log(self) -> list[dict[str, Any]]:
        """Return the log lines since the last look, each of which must be one JSON object."""
        return [json.loads(line) for line in self.capture.readouterr().out.splitlines()]


@pytest.fixture(scope="session")
def _kept(server: TestServer) -> Iterator[Database]:
    yield from _new_database(server, "template1")


@pytest.fixture
def database(_kept: Database) -> Database:
    """One database for all of these tests, with the table and view made anew for each.

    A database of its own for each of several hundred tests would take most of their time.
    """
    with _kept.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS device_state CASCADE; DROP FUNCTION IF EXISTS break CASCADE")
        connection.execute(TABLE_AND_VIEW)
    return _kept


@pytest.fixture
def function(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    """The function on an empty `device_state`; settings are read at its first call."""
    handler.reset()
    yield Function(capsys)
    handler.reset()


@pytest.fixture
def seen(connection: psycopg.Connection) -> Callable[[], dict[str, Any]]:
    """A look at the table: `last_seen_ts` by device."""

    def look() -> dict[str, Any]:
        rows = connection.execute('SELECT device_id, last_seen_ts FROM device_state ORDER BY device_id COLLATE "C"')
        return dict(rows.fetchall())

    return look
