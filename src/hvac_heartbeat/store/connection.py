"""The one connection of a container: opened at first use, kept, replaced when it turns out broken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hvac_heartbeat.settings import Settings

_CONNECT_TIMEOUT_S = 5
_UNCHANGING = ("22", "23")  # data exception, integrity constraint violation: PostgreSQL manual, appendix A


class StatementRefused(HvacHeartbeatError):
    """The database refuses a row of the statement, today and tomorrow (SQLSTATE class 22 or 23).

    `constraint` and `column` are the server's own words and may be None.
    """

    def __init__(self, sqlstate: str, constraint: str | None, column: str | None) -> None:
        """Take what the server said."""
        super().__init__(f"the database refuses the row (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.column = column


class Packed(bytes):
    """A parameter that is in PostgreSQL's binary form already; the statement casts it to its type."""

    __slots__ = ()


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        return obj


def connect(settings: Settings) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection the way the function does: autocommit, and no statement is ever given a name.

    Raises:
        psycopg.Error: as the driver words it; `Database.run` translates.
    """
    connection = psycopg.connect(
        host=settings.host,
        port=settings.port,
        dbname=settings.name,
        user=settings.user,
        password=settings.password,
        sslmode=settings.sslmode,
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="hvac-heartbeat",
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.RawCursor,
    )
    connection.adapters.register_dumper(Packed, _PackedDumper)
    return connection


class Database:
    """Runs statements on the container's connection."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is opened before the first statement."""
        self.settings = settings
        self.milliseconds = 0.0  # time spent waiting for the database since the last `reset_clock`
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def run(self, statement: str, parameters: Sequence[object], deadline: float) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows.

        A broken connection is replaced and the statement sent once more, so it must be one that can be repeated.
        `deadline` is in seconds of `time.monotonic`.

        Raises:
            StatementRefused: the database refuses one of the rows.
            StoreUnavailable: anything else.
        """
        started = time.perf_counter()
        try:
            return self._run(statement, parameters, deadline)
        finally:
            self.milliseconds += (time.perf_counter() - started) * 1000

    def close(self) -> None:
        """Close the connection, if there is one; the next statement opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, statement: str, parameters: Sequence[object], deadline: float) -> list[tuple[Any, ...]]:
        warm = self._connection is not None
        try:
            return self._execute(statement, parameters)
        except psycopg.Error as error:
            if error.sqlstate is not None and error.sqlstate.startswith(_UNCHANGING):
                diagnosis = error.diag
                raise StatementRefused(error.sqlstate, diagnosis.constraint_name, diagnosis.column_name) from error
            broken = self._connection is None or self._connection.broken
            if broken:
                self.close()
            if not (warm and broken and time.monotonic() < deadline):
                raise StoreUnavailable("the database could not take the heartbeats", sqlstate=error.sqlstate) from error
        return self._run(statement, parameters, deadline)

    def _execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = connect(self.settings)
        cursor = self._connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
