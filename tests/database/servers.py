"""What a test does to a server of its own, and how it sees the function's connections there."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psycopg

from tests.database.invocation import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.local.postgres import PostgresServer

LIMITS: Final = {"max_connections": "6", "superuser_reserved_connections": "1", "max_wal_senders": "0"}
_FREE: Final = 4  # of the six: one is reserved, and one is the test's own
_OURS: Final = "application_name = 'hvac-heartbeat'"


def backends(admin: psycopg.Connection, condition: str = "true") -> list[int]:
    """Return the function's backends."""
    found = admin.execute(f"SELECT pid FROM pg_stat_activity WHERE {_OURS} AND {condition}")  # noqa: S608
    return [pid for (pid,) in found.fetchall()]


def reload(server: PostgresServer) -> None:
    """Have a server read its configuration again, and wait until the next connection will meet it."""

    def loaded_at() -> object:
        with psycopg.connect(server.url()) as new:  # an open one reads the configuration when it likes
            return new.execute("SELECT pg_conf_load_time()").fetchone()

    before = loaded_at()
    with psycopg.connect(server.url()) as admin:
        admin.execute("SELECT pg_reload_conf()")
    wait_until(lambda: loaded_at() != before)


@contextmanager
def locked(server: PostgresServer, mode: str = "EXCLUSIVE") -> Iterator[None]:
    """Hold the table, so that a batch stands still in the middle of its statement."""
    # Closed without a word: the server may have been killed meanwhile.
    with closing(psycopg.connect(server.url())) as holder:
        holder.execute(f"LOCK device_state IN {mode} MODE".encode())
        yield


def await_lock(admin: psycopg.Connection) -> int:
    """Wait for the function to stand in line for a lock, and return its backend."""
    waiting: list[int] = []

    def stands_in_line() -> bool:
        waiting[:] = backends(admin, "wait_event_type = 'Lock'")
        return bool(waiting)

    wait_until(stands_in_line)
    return waiting[0]


def disconnect(admin: psycopg.Connection) -> None:
    """End the function's connections and wait until they have ended: a statement might be quicker than the signal."""
    admin.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {_OURS}")  # noqa: S608


@contextmanager
def sessions_with(admin: psycopg.Connection, setting: str, value: str) -> Iterator[None]:
    """Have every session of the function begin with a setting, and none after that, whatever becomes of the test."""
    admin.execute(f"ALTER ROLE writer SET {setting} = '{value}'")
    disconnect(admin)
    try:
        yield
    finally:
        admin.execute(f"ALTER ROLE writer RESET {setting}")
        disconnect(admin)


@contextmanager
def no_connection_left(server: PostgresServer) -> Iterator[None]:
    """Take every connection that a role without privileges can get."""
    with ExitStack() as taken:
        hogs: list[psycopg.Connection] = []

        def took_all() -> bool:
            # One that was just closed is free a moment later only, and must not be left to the function.
            with suppress(psycopg.OperationalError):
                hogs.append(taken.enter_context(psycopg.connect(server.url(user="writer"))))
            return len(hogs) == _FREE

        wait_until(took_all)
        yield
