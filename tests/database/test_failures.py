"""What a caller may believe when the database goes away: acknowledged is written, everything else was reported."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import psycopg

from hvac_heartbeat.aws import handler
from tests.database.invocation import check, deliver, in_thread, wait_until
from tests.database.servers import await_lock, backends, disconnect, locked

if TYPE_CHECKING:
    from unittest.mock import Mock

    import pytest

    from hvac_heartbeat.local.postgres import PostgresServer

# Every row takes the backend down, as a bug in an extension would, and with it every connection to the server.
DEADLY = """
CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    COPY (SELECT) TO PROGRAM 'echo once >>crashes; kill -KILL $PPID';
    RETURN new;
END $$;
CREATE TRIGGER crash BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION crash();
"""


def test_a_connection_terminated_between_invocations_is_replaced(admin: psycopg.Connection) -> None:
    disconnect(admin)
    result = deliver("a", "b")
    assert result.acknowledged == {"a", "b"}
    check(result, admin, "a", "b")


def test_a_connection_terminated_during_an_invocation_is_replaced_and_the_batch_sent_again(
    admin: psycopg.Connection, fragile: PostgresServer, logins: Mock
) -> None:
    with locked(fragile):
        delivery = in_thread(lambda: deliver("a", "b"))
        await_lock(admin)
        disconnect(admin)
    result = delivery.result(20)
    assert logins.call_count == 1
    assert result.acknowledged == {"a", "b"}
    check(result, admin, "a", "b")


def test_a_backend_killed_in_the_middle_of_a_batch_is_survived(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    """SIGKILL makes PostgreSQL end every connection and recover; the batch is sent again when it takes connections."""
    with locked(fragile):
        delivery = in_thread(lambda: deliver("a", "b"))
        os.kill(await_lock(admin), signal.SIGKILL)
    result = delivery.result(20)
    with psycopg.connect(fragile.url()) as after:
        check(result, after, "a", "b")
        assert result.acknowledged == {"a", "b"}


def test_a_batch_that_takes_the_server_down_is_sent_twice_at_most(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    """Sent for as long as there is time, it would keep the database from everybody else."""
    admin.execute(DEADLY)
    try:
        result = deliver("a", "b", seconds=10)
    finally:
        fragile.kill()  # it may be recovering
        fragile.start()
        with psycopg.connect(fragile.url()) as after:
            after.execute("DROP FUNCTION crash CASCADE")
    assert result.failure is not None
    assert len((fragile.data / "crashes").read_text().splitlines()) <= 2
    with psycopg.connect(fragile.url()) as after:
        check(result, after, "a", "b")


def test_a_server_killed_in_the_middle_of_a_batch_and_started_again(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    with locked(fragile):
        delivery = in_thread(lambda: deliver("a", "b"))
        await_lock(admin)
        fragile.kill()
    fragile.start()
    result = delivery.result(20)
    with psycopg.connect(fragile.url()) as after:
        check(result, after, "a", "b")
        assert result.acknowledged == {"a", "b"}


def test_a_server_that_stays_away_is_reported_within_the_time(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    fragile.stop()
    try:
        result = deliver("a", "b", seconds=2.0)
    finally:
        fragile.start()
    assert result.failure is not None
    with psycopg.connect(fragile.url()) as after:
        check(result, after, "a", "b")


def test_a_batch_that_stands_still_is_reported_in_time_and_taken_back(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    with locked(fragile):
        result = deliver("a", seconds=1.5)
        assert result.failure is not None
        wait_until(lambda: not backends(admin))
    check(result, admin, "a")
    assert deliver("a").acknowledged == {"a"}


def test_a_server_that_accepts_and_never_answers(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DB_PORT", str(silent.getsockname()[1]))
        handler.reset()
        result = deliver("a", seconds=1.5)
    assert result.failure is not None
    check(result, admin, "a")


def test_a_name_server_that_never_answers(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = threading.Event()
    monkeypatch.setenv("DB_HOST", "db.example.invalid")

    def look_up(*_: object, **__: object) -> list[object]:
        silence.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    handler.reset()
    result = deliver("a", seconds=1.5)
    silence.set()
    assert result.failure is not None
