"""A warm batch is one nameless statement and one round trip, read off libpq's own trace of the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import pq

from hvac_heartbeat.aws import handler as wiring
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store import silence
from hvac_heartbeat.store.database import Database
from tests.database.ledger_law.schema import LEDGER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg

    Handler = Callable[[object], Any]

# Refuses the 10,001st minute of 2020.
ENOUGH = """
CREATE FUNCTION enough() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full USING MESSAGE = 'enough'; END $$;
CREATE TRIGGER enough BEFORE INSERT ON silence FOR EACH ROW
    WHEN (NEW.silent_from > timestamptz '2020-01-01Z' + interval '10000 minutes') EXECUTE FUNCTION enough();
"""
STATEMENT_LIMIT = 16 * 1024  # RDS Proxy pins a connection on longer texts


@pytest.fixture
def traced(handler: Handler, tmp_path: Path) -> Callable[[object], list[list[str]]]:
    """Send an event on a warm connection; the frontend's messages, split at tabs, without time stamps."""

    def send(event: object) -> list[list[str]]:
        assert wiring._container is not None
        connection = wiring._container.database._connection
        assert connection is not None
        trace = tmp_path / "trace"
        with trace.open("wb") as file:
            connection.pgconn.trace(file.fileno())
            connection.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
            handler(event)
            connection.pgconn.untrace()
        lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.split("\t") for line in lines if line.startswith("F\t")]

    assert handler({"device_id": "warm", "site_id": "s"})["statusCode"] == 200
    return send


@pytest.mark.parametrize("size", [1, 3, 1_000, 10_000])
def test_a_warm_batch_is_one_nameless_statement_and_one_round_trip(
    traced: Callable[[object], list[list[str]]], connection: psycopg.Connection, size: int
) -> None:
    """No ping before it, no BEGIN, no SET, no second statement, however large the batch."""
    event = {"devices": [{"device_id": f"d{number}", "site_id": "s", "cpu_pct": 1.5} for number in range(size)]}
    messages = traced(event)
    assert [message[2] for message in messages] == ["Parse", "Bind", "Describe", "Execute", "Sync"]
    assert messages[0][3].startswith(' "" "INSERT INTO device_state')
    assert int(messages[0][1]) < STATEMENT_LIMIT
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (size + 1,)


def test_the_statements_length_does_not_grow_with_the_batch(traced: Callable[[object], list[list[str]]]) -> None:
    small, large = (
        traced([{"device_id": f"d{number}", "site_id": "s"} for number in range(size)])[0][1] for size in (2, 5_000)
    )
    assert small == large


def test_a_batch_that_is_partly_outdated_or_rejected_by_us_takes_no_second_round_trip(
    traced: Callable[[object], list[list[str]]], connection: psycopg.Connection
) -> None:
    """Where no time tells when the outdated one came."""
    connection.execute("UPDATE device_state SET last_seen_ts = now() + interval '1 minute'")
    old = {"device_id": "warm", "site_id": "s"}
    messages = traced([old, {"device_id": "new", "site_id": "s"}, {"site_id": "nobody"}])
    assert [message[2] for message in messages].count("Sync") == 1


def at(second: int) -> str:
    return f"2020-01-01T00:00:{second:02}Z"


def late_in_its_event(second: int) -> list[dict[str, str]]:
    return [{"device_id": "late", "site_id": "s", "received_at": at(second - before)} for before in (0, 1, 2)]


def test_late_heartbeats_are_one_statement_more_for_all_of_them_where_there_is_a_ledger(
    traced: Callable[[object], list[list[str]]], connection: psycopg.Connection
) -> None:
    connection.execute(LEDGER)
    outdated = {"device_id": "warm", "site_id": "s", "received_at": at(0)}
    for _ in range(2):
        upsert, late = (message for message in traced([outdated, *late_in_its_event(10)]) if message[2] == "Parse")
        assert "INSERT INTO device_state" in upsert[3]
        assert late[3].startswith(' "" "SELECT note_late_heartbeats(')


def test_heartbeats_in_order_or_of_one_time_take_no_second_statement_where_there_is_a_ledger(
    traced: Callable[[object], list[list[str]]], connection: psycopg.Connection
) -> None:
    connection.execute(LEDGER)
    for event in (
        {"device_id": "a", "site_id": "s", "received_at": at(1)},
        [{"device_id": "a", "site_id": "s", "received_at": at(2)}] * 3,
        [{"device_id": "a", "site_id": "s"}] * 3,
    ):
        assert [message[2] for message in traced(event)].count("Sync") == 1


def test_a_database_without_a_ledger_is_asked_for_one_every_five_minutes(
    traced: Callable[[object], list[list[str]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statements = [[message[2] for message in traced(late_in_its_event(s))].count("Sync") for s in (10, 20, 30)]
    assert statements == [2, 1, 1]
    clock = time.monotonic() + silence._LEFT_ALONE_S
    monkeypatch.setattr(silence, "time", SimpleNamespace(monotonic=lambda: clock))
    assert [message[2] for message in traced(late_in_its_event(40))].count("Sync") == 2
    assert "ledger" not in capsys.readouterr().out


def test_more_late_heartbeats_than_a_batch_are_noted_a_batch_at_a_time(
    connection: psycopg.Connection, environment: dict[str, str]
) -> None:
    """So that what was noted stays so when the time is up, and a retry finds less to do."""
    connection.execute(LEDGER)
    connection.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 's', '2020-01-01Z')")
    connection.execute("UPDATE device_state SET last_seen_ts = '2021-01-01Z'")
    database = Database(Settings.from_environment(environment))
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    late = [Heartbeat("d", "s", begin + timedelta(minutes=number)) for number in range(1, 10_003)]
    connection.execute(ENOUGH)
    try:
        assert silence.Ledger(database).note_late(late, time.monotonic() + 60) == "enough (SQLSTATE 53100)"
    finally:
        database.close()
    noted = connection.execute("SELECT max(silent_from) FROM silence").fetchone()
    assert noted == (late[9_999].received_at,)
