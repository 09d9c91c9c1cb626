"""What a caller may believe when the database goes away: acknowledged is written, everything else was reported."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import MISSION_SCHEMA
from tests.database.invocation import check, deliver, meanwhile, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "application_name = 'hvac-heartbeat'"


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgresServer]:
    """A server of our own, to be killed."""
    bindir = os.environ.get("TEST_POSTGRES_BINDIR")
    limits = {"max_connections": "6", "superuser_reserved_connections": "1", "max_wal_senders": "0"}
    with PostgresServer(Path(bindir) if bindir else None, settings=limits, tcp=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(MISSION_SCHEMA)
            admin.execute("CREATE ROLE writer LOGIN; GRANT SELECT, INSERT, UPDATE ON device_state TO writer")
        yield server


@pytest.fixture
def admin(fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The superuser's connection, on an empty table, with the function's container warm."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    variables = fragile.environment(user="writer") | {
        "DB_HOST": "127.0.0.1",
        "DB_PASSWORD": "not asked for",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    handler.reset()
    with psycopg.connect(fragile.url(), autocommit=True) as admin:
        admin.execute("TRUNCATE device_state")
        assert deliver("warm").acknowledged == {"warm"}
        yield admin
    handler.reset()


def backends(admin: psycopg.Connection, condition: str = "true") -> list[int]:
    found = admin.execute(f"SELECT pid FROM pg_stat_activity WHERE {OURS} AND {condition}")  # noqa: S608
    return [pid for (pid,) in found.fetchall()]


class Lock:
    """Holds every row of the table, so that a batch stands still in the middle of its statement."""

    def __init__(self, server: PostgresServer, admin: psycopg.Connection) -> None:
        self.holder = psycopg.connect(server.url())
        self.holder.execute("LOCK device_state IN EXCLUSIVE MODE")
        self.admin = admin

    def wait(self) -> int:
        """Wait for the function to stand in line, and return its backend."""
        wait_until(lambda: backends(self.admin, "wait_event_type = 'Lock'"))
        return backends(self.admin, "wait_event_type = 'Lock'")[0]

    def release(self) -> None:
        self.holder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_connection_terminated_between_invocations_is_replaced(admin: psycopg.Connection) -> None:
    admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")  # noqa: S608
    wait_until(lambda: not backends(admin))
    told = deliver("a", "b")
    assert told.acknowledged == {"a", "b"}
    check(told, admin, "a", "b")


def test_a_connection_terminated_during_an_invocation_is_replaced_and_the_batch_sent_again(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    with Lock(fragile, admin) as lock:
        delivery = meanwhile(lambda: deliver("a", "b"))
        admin.execute("SELECT pg_terminate_backend(%s)", [lock.wait()])
    told = delivery.result(20)
    assert told.acknowledged == {"a", "b"}
    check(told, admin, "a", "b")


def test_a_backend_killed_in_the_middle_of_a_batch_is_survived(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    """SIGKILL makes PostgreSQL end every connection and recover; the batch is sent again when it takes connections."""
    with Lock(fragile, admin) as lock:
        delivery = meanwhile(lambda: deliver("a", "b"))
        os.kill(lock.wait(), signal.SIGKILL)
    told = delivery.result(20)
    with psycopg.connect(fragile.url()) as after:
        check(told, after, "a", "b")
        assert told.acknowledged == {"a", "b"}


def test_a_server_killed_in_the_middle_of_a_batch_and_started_again(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    with Lock(fragile, admin) as lock:
        delivery = meanwhile(lambda: deliver("a", "b"))
        lock.wait()
        fragile.kill()
    fragile.start()
    told = delivery.result(20)
    with psycopg.connect(fragile.url()) as after:
        check(told, after, "a", "b")
        assert told.acknowledged == {"a", "b"}


def test_a_server_that_stays_away_is_reported_within_the_time(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    fragile.stop()
    try:
        told = deliver("a", "b", seconds=2.0)
    finally:
        fragile.start()
    assert told.failure is not None
    with psycopg.connect(fragile.url()) as after:
        check(told, after, "a", "b")


def test_a_batch_that_stands_still_is_reported_in_time_and_taken_back(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    with Lock(fragile, admin):
        told = deliver("a", seconds=1.5)
        assert told.failure is not None
        wait_until(lambda: not backends(admin))
    check(told, admin, "a")
    assert deliver("a").acknowledged == {"a"}


def test_a_server_that_accepts_and_never_answers(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DB_PORT", str(silent.getsockname()[1]))
        handler.reset()
        told = deliver("a", seconds=1.5)
    assert told.failure is not None
    check(told, admin, "a")


def test_a_name_server_that_never_answers(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = threading.Event()
    monkeypatch.setenv("DB_HOST", "db.example.invalid")

    def look_up(*_: object, **__: object) -> list[object]:
        silence.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    handler.reset()
    told = deliver("a", seconds=1.5)
    silence.set()
    assert told.failure is not None


def read_only(admin: psycopg.Connection, *, on: bool) -> None:
    admin.execute("SET default_transaction_read_only = off")
    admin.execute(f"ALTER ROLE writer SET default_transaction_read_only = {'on' if on else 'off'}")
    admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}")  # noqa: S608


def test_a_primary_that_turns_read_only_is_asked_for_again_until_there_is_one(admin: psycopg.Connection) -> None:
    """Each attempt takes a new connection, and so a new look at where the server's name leads."""
    read_only(admin, on=True)
    delivery = meanwhile(lambda: deliver("a", "b"))
    seen: set[int] = set()

    def connected_twice() -> bool:
        seen.update(backends(admin))
        return len(seen) > 1

    wait_until(connected_twice)
    read_only(admin, on=False)
    told = delivery.result(20)
    assert told.acknowledged == {"a", "b"}
    check(told, admin, "a", "b")


def test_a_primary_that_stays_read_only_is_reported(admin: psycopg.Connection) -> None:
    read_only(admin, on=True)
    told = deliver("a", seconds=1.5)
    read_only(admin, on=False)
    assert told.failure is not None
    assert told.failure.sqlstate == "25006"
    check(told, admin, "a")


def hog(fragile: PostgresServer) -> list[psycopg.Connection]:
    """Take every connection that a role without privileges can get."""
    hogs: list[psycopg.Connection] = []
    while len(hogs) < 10:
        try:
            hogs.append(psycopg.connect(fragile.url(user="writer")))
        except psycopg.OperationalError:
            break
    return hogs


def test_exhausted_connections_are_waited_for(admin: psycopg.Connection, fragile: PostgresServer) -> None:
    handler.reset()
    hogs = hog(fragile)
    delivery = meanwhile(lambda: deliver("a"))
    time.sleep(0.3)
    assert not delivery.done()
    for connection in hogs:
        connection.close()
    told = delivery.result(20)
    assert told.acknowledged == {"a"}
    check(told, admin, "a")


def test_connections_that_stay_exhausted_are_reported(admin: psycopg.Connection, fragile: PostgresServer) -> None:
    handler.reset()
    hogs = hog(fragile)
    told = deliver("a", seconds=1.5)
    for connection in hogs:
        connection.close()
    assert told.failure is not None
    assert told.failure.sqlstate == "53300"
    check(told, admin, "a")


def test_a_deadlock_is_tried_again(admin: psycopg.Connection, fragile: PostgresServer) -> None:
    """A program that writes in another order: PostgreSQL ends one of the two, and the batch is sent again."""
    deliver("a", "b")
    with psycopg.connect(fragile.url()) as other:
        other.execute("SET deadlock_timeout = '10s'; UPDATE device_state SET site_id = 'x' WHERE device_id = 'b'")
        delivery = meanwhile(lambda: deliver("a", "b"))
        wait_until(lambda: backends(admin, "wait_event_type = 'Lock'"))
        other.execute("UPDATE device_state SET site_id = 'x' WHERE device_id = 'a'")
    told = delivery.result(20)
    assert told.acknowledged == {"a", "b"}
    check(told, admin, "a", "b")
