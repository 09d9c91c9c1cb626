"""What the database refuses today and may take in a moment is tried again, and reported when it stays so."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psycopg
import pytest

from hvac_heartbeat.aws import handler
from tests.database.invocation import check, deliver, in_thread, wait_until
from tests.database.servers import await_lock, no_connection_left, sessions_with

if TYPE_CHECKING:
    from unittest.mock import Mock

    from hvac_heartbeat.local.postgres import PostgresServer

# With the longest pauses an attempt begins 0.75 s after the first one at the latest, and the next would 1.55 s after.
PATIENCE_S = 1.75  # of which 0.5 s are kept back for the answer


@pytest.fixture
def _longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without chance: an attempt that begins a moment before the time is up finds out nothing but that."""
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)


def test_a_primary_that_turns_read_only_is_asked_for_again_until_there_is_one(
    admin: psycopg.Connection, logins: Mock
) -> None:
    """Each attempt takes a new connection, and so a new look at where the server's name leads."""
    with sessions_with(admin, "default_transaction_read_only", "on"):
        delivery = in_thread(lambda: deliver("a", "b"))
        wait_until(lambda: logins.call_count > 1)
    result = delivery.result(20)
    assert result.acknowledged == {"a", "b"}
    check(result, admin, "a", "b")


@pytest.mark.usefixtures("_longest_pauses")
def test_a_primary_that_stays_read_only_is_reported(admin: psycopg.Connection) -> None:
    with sessions_with(admin, "default_transaction_read_only", "on"):
        result = deliver("a", seconds=PATIENCE_S)
    assert result.failure is not None
    assert result.failure.sqlstate == "25006"
    check(result, admin, "a")


def test_exhausted_connections_are_waited_for(admin: psycopg.Connection, fragile: PostgresServer, logins: Mock) -> None:
    handler.reset()
    with no_connection_left(fragile):
        delivery = in_thread(lambda: deliver("a"))
        wait_until(lambda: logins.call_count > 1)
        assert not delivery.done()
    result = delivery.result(20)
    assert result.acknowledged == {"a"}
    check(result, admin, "a")


@pytest.mark.usefixtures("_longest_pauses")
def test_connections_that_stay_exhausted_are_reported(admin: psycopg.Connection, fragile: PostgresServer) -> None:
    handler.reset()
    with no_connection_left(fragile):
        result = deliver("a", seconds=PATIENCE_S)
    assert result.failure is not None
    assert result.failure.sqlstate == "53300"
    check(result, admin, "a")


def test_a_deadlock_is_tried_again(admin: psycopg.Connection, fragile: PostgresServer) -> None:
    """A program that writes in another order: PostgreSQL ends whoever closes the circle, and that is the function."""
    devices = ("a", "b", "c")
    deliver(*devices)
    with psycopg.connect(fragile.url()) as other, psycopg.connect(fragile.url()) as third:
        other.execute("SET deadlock_timeout = '1min'")
        other.execute("UPDATE device_state SET site_id = 'x' WHERE device_id = 'c'")
        third.execute("UPDATE device_state SET site_id = 'x' WHERE device_id = 'b'")
        delivery = in_thread(lambda: deliver(*devices))
        await_lock(admin)  # it has a, and wants b
        update = in_thread(lambda: other.execute("UPDATE device_state SET site_id = 'x' WHERE device_id = 'a'"))
        wait_until(lambda: waits(admin, other))
        third.rollback()
        update.result(20)
    result = delivery.result(20)
    assert result.acknowledged == set(devices)
    check(result, admin, *devices)


def waits(admin: psycopg.Connection, other: psycopg.Connection) -> bool:
    found = admin.execute("SELECT pg_blocking_pids(%s) <> '{}'", [other.info.backend_pid]).fetchone()
    return bool(found and found[0])


def test_a_write_that_could_not_be_ordered_among_others_is_tried_again(
    admin: psycopg.Connection, fragile: PostgresServer
) -> None:
    """A database whose default is REPEATABLE READ: the row has changed since the statement began."""
    with sessions_with(admin, "default_transaction_isolation", "repeatable read"):
        with psycopg.connect(fragile.url()) as other:
            other.execute("UPDATE device_state SET site_id = 'x', status = 'error' WHERE device_id = 'warm'")
            delivery = in_thread(lambda: deliver("warm"))
            await_lock(admin)
        result = delivery.result(20)
    assert result.acknowledged == {"warm"}
    row = admin.execute("SELECT site_id, status FROM device_state").fetchone()
    assert row == ("site", "error"), "both writes are in the row, the function's on top"
