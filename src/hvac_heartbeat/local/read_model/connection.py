"""A connection to read from: one snapshot for each answer, and a new connection after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.rows import dict_row

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.formats import set_formats
from hvac_heartbeat.local.read_model import STATEMENTS
from hvac_heartbeat.store.connection import cancel_and_close, connect
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import Failure, classify
from hvac_heartbeat.store.timeout import DeadlinePassed

if TYPE_CHECKING:
    from hvac_heartbeat.settings import Settings
    from hvac_heartbeat.store.timeout import BoundedConnection

T = TypeVar("T")

# Compiling takes longer than the statements do.
_BEGIN: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TIME ZONE 'UTC'; SET LOCAL jit = off"
_LAST_WAIT_S: Final = 1.0
_REMEMBERED_S: Final = 1.0  # everybody who asks a server that does not answer would wait for it, one after the other


class NeverStored(HvacHeartbeatError):
    """Nothing of this name is stored: it has a character that the database's encoding lacks."""


class Snapshot:
    """The database at one moment."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        parts = self._run(queries(STATEMENTS)["has_ledger"], ())[0]
        self.has_ledger: bool = parts["has_ledger"]
        self.has_telling: bool = parts["has_telling"]

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run a statement of the read model and return its rows by column name."""
        named = queries(STATEMENTS)
        sql = named[statement]
        if not self.has_ledger:
            for view, stand_in in (("v_site_liveness", "sites"), ("v_device_liveness", "devices")):
                sql = sql.replace(view, f"({named[f'{stand_in}_without_ledger']}) AS {view}")
        return self._run(sql, parameters)

    def row(self, statement: str, *parameters: object) -> dict[str, Any]:
        """Run a statement that answers one row; empty where there is none."""
        return next(iter(self.rows(statement, *parameters)), {})

    def _run(self, sql: str, parameters: tuple[object, ...]) -> list[dict[str, Any]]:
        with psycopg.RawCursor(self._connection, row_factory=dict_row) as cursor:
            return cursor.execute(sql.encode(), parameters).fetchall()


class ReadConnection:
    """Answers questions one after the other, whichever threads they come from, within `patience_s` each."""

    def __init__(self, settings: Settings, patience_s: float) -> None:
        self._settings = settings
        self._patience_s = patience_s
        self._lock = Lock()
        self._connection: BoundedConnection | None = None
        self._failure: Failure | None = None
        self._failed_at = 0.0

    def read(self, ask: Callable[[Snapshot], T]) -> T:
        """Return what `ask` makes of a snapshot. It may be called twice: a connection that was lost is replaced.

        Raises:
            StoreUnavailable: the database did not answer.
            NeverStored: a name cannot be in this database.
            psycopg.DataError: a parameter is of no type that the statement takes.
        """
        with self._lock:
            if self._failure is not None and time.monotonic() - self._failed_at < _REMEMBERED_S:
                raise self._failure.unavailable()
            was_open = self._connection is not None
            try:
                try:
                    return self._read(ask)
                except psycopg.OperationalError as error:
                    if not was_open or isinstance(error, DeadlinePassed):
                        raise
                    return self._read(ask)
            except psycopg.errors.UntranslatableCharacter as error:
                raise NeverStored from error
            except psycopg.DataError:
                raise
            except psycopg.Error as error:
                self._failure, self._failed_at = classify(error), time.monotonic()
                raise self._failure.unavailable() from error

    def failure(self) -> str | None:
        """Return what the last answer failed of, in full; None when it did not."""
        failure = self._failure
        return None if failure is None else failure.unavailable().in_full

    def close(self) -> None:
        """Close the connection. Where the server is still at work, it is left to end with the process."""
        if self._lock.acquire(timeout=_LAST_WAIT_S):
            self._close()
            self._lock.release()

    def _read(self, ask: Callable[[Snapshot], T]) -> T:
        deadline = time.monotonic() + self._patience_s
        try:
            if self._connection is None:
                self._connection = connect(self._settings, deadline)
                self._connection.deadline = deadline
                set_formats(self._connection)
            self._connection.deadline = deadline
            self._connection.execute(_BEGIN)
            answer = ask(Snapshot(self._connection))
            self._connection.execute(b"COMMIT")
            self._failure = None
        except DeadlinePassed:
            if self._connection is not None:
                cancel_and_close(self._connection)
                self._connection = None
            raise
        except BaseException:
            self._close()
            raise
        return answer

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
