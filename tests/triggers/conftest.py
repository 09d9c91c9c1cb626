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
    from datetime import datetime

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
        """Invoke the function with an event as Lambda decodes it; return its answer with the JSON in `body` decoded."""
        answer = json.loads(json.dumps(handler.lambda_handler(event, context or Context())))
        return answer | {"body": json.loads(answer["body"])} if "body" in answer else answer

    def log(self) -> list[dict[str, Any]]:
        """Return the log lines since the last look, each of which must be one JSON object."""
        return [json.loads(line) for line in self.capture.readouterr().out.splitlines()]

    def verdicts(self) -> dict[str, Any]:
        """Return the last invocation's counts, without those that are zero, and the names of its rejected records."""
        *rejections, line = self.log()
        assert len(rejections) == line["rejected"]
        counts = {name: line[name] for name in COUNTS if line[name]}
        rejected = [f"{found['record']}: {found['field']} {found['reason']}" for found in rejections]
        return counts | ({"rejected": rejected} if rejected else {})


COUNTS = ("updated", "outdated", "rejected", "failed", "ignored_fields")


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
def newer(connection: psycopg.Connection) -> datetime:
    """The `last_seen_ts` of the device "newer", to which every heartbeat of these tests is an outdated one."""
    row = connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
        " VALUES ('newer', 'building-a', now() + interval '1 minute') RETURNING last_seen_ts"
    ).fetchone()
    assert row
    found: datetime = row[0]
    return found


@pytest.fixture
def away(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Context:
    """A database that cannot be reached, and a short time in which to find that out."""
    monkeypatch.setenv("DB_HOST", "/nonexistent")
    return Context(seconds=0.2)


@pytest.fixture
def failing(connection: psycopg.Connection) -> None:
    """A table whose trigger raises what may pass, for the device "failing" and no other."""
    connection.execute(
        "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF new.device_id = 'failing' THEN RAISE EXCEPTION 'break'; END IF; RETURN new; END $$;"
        "CREATE TRIGGER break BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION break()"
    )


@pytest.fixture
def seen(connection: psycopg.Connection) -> Callable[[], dict[str, Any]]:
    """A look at the table: `last_seen_ts` by device."""

    def look() -> dict[str, Any]:
        rows = connection.execute('SELECT device_id, last_seen_ts FROM device_state ORDER BY device_id COLLATE "C"')
        return dict(rows.fetchall())

    return look
