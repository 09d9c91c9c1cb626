"""The container's one connection: opened at first use, kept, and replaced when it turns out broken."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.connection import BoundedConnection, cancel_and_close, connect
from hvac_heartbeat.store.sqlstates import Failure, Remedy, StatementRefused, classify, failure
from hvac_heartbeat.store.timeout import DeadlinePassed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.pq.abc import PGresult

    from hvac_heartbeat.settings import Settings

T = TypeVar("T")

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_LAST_DOUBLING = 10


class Database:
    """Runs statements on the container's connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.milliseconds = 0.0  # time spent waiting for the database; who reports it sets it back to zero
        self._connection: BoundedConnection | None = None

    def run(self, statement: str, deadline: float) -> list[tuple[Any, ...]]:
        """Run a statement without parameters, and so without a row to refuse, and return its rows.

        As for `execute`, but that the driver makes Python values of the rows.

        Raises:
            StoreUnavailable: when there is no answer.
        """
        try:
            return self._run(lambda connection: connection.execute(statement.encode()).fetchall(), deadline)
        except StatementRefused as refused:
            raise failure(refused.sqlstate, where=refused.where, cause=refused.cause) from refused

    def execute(self, statement: bytes, parameters: Sequence[bytes | None], deadline: float) -> PGresult:
        """Run one statement in a transaction of its own and return its answer as it came.

        A broken connection is replaced and the statement sent once more, and what may pass is tried again while there
        is time, so it must be a statement that can be repeated. `parameters` are in PostgreSQL's text form, `deadline`
        is in seconds of `time.monotonic`.

        Raises:
            StatementRefused: for what can be the fault of one of the rows.
            StoreUnavailable: anything else.
        """
        return self._run(lambda connection: connection.send(statement, parameters), deadline)

    def close(self) -> None:
        """Close the connection, if there is one; the next statement opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, act: Callable[[BoundedConnection], T], deadline: float) -> T:
        if time.monotonic() >= deadline:
            raise StoreUnavailable("no time was left to write the heartbeats")
        started = time.perf_counter()
        try:
            return self._attempt(act, deadline)
        except psycopg.Error as error:
            return self._retry(error, act, deadline)
        finally:
            self.milliseconds += (time.perf_counter() - started) * 1000

    def _attempt(self, act: Callable[[BoundedConnection], T], deadline: float, *, fresh: bool = False) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = connect(self.settings, deadline, fresh=fresh)
        connection.deadline = deadline
        return act(connection)

    def _retry(self, error: psycopg.Error, act: Callable[[BoundedConnection], T], deadline: float) -> T:
        """Try the remedies of one error after the other until the statement is through or there is nothing to try."""
        spent: set[Remedy] = set()
        attempt = 0
        reported: StoreUnavailable | None = None
        while True:
            found = classify(error, self._connection.where if self._connection is not None else None)
            if found.remedy is Remedy.REFUSED:
                raise StatementRefused(
                    found.sqlstate or "",
                    error.diag.constraint_name,
                    error.diag.column_name,
                    where=found.where,
                    cause=found.cause,
                ) from error
            if reported is None or not found.late:
                reported = found.unavailable()
            self._drop_connection(error, found)
            pause = self._pause(found, attempt, spent)
            if pause is None or time.monotonic() + pause >= deadline:
                raise reported from error
            time.sleep(pause)
            try:
                return self._attempt(act, deadline, fresh=found.remedy is Remedy.CREDENTIALS)
            except psycopg.Error as another:
                error = another
                attempt += 1

    def _drop_connection(self, error: psycopg.Error, found: Failure) -> None:
        if self._connection is None:
            return
        if isinstance(error, DeadlinePassed):
            cancel_and_close(self._connection)
        if self._connection.closed or found.remedy in (Remedy.RECONNECT, Remedy.REDIRECT, Remedy.CREDENTIALS):
            self.close()

    def _pause(self, found: Failure, attempt: int, spent: set[Remedy]) -> float | None:
        """Return how long to wait before the next attempt, None when there is to be none."""
        if found.remedy is Remedy.NONE or (found.remedy is Remedy.CREDENTIALS and self._credentials_are_fixed):
            return None
        if found.remedy in (Remedy.RECONNECT, Remedy.CREDENTIALS):
            # Once each: a batch that takes the server down, or a password that is wrong, would do so for ever.
            first = found.remedy not in spent
            spent.add(found.remedy)
            return 0.0 if first else None
        # Full jitter: containers that failed together must not come back together. The exponent has an end because a
        # float has one, and short pauses can get that far.
        pause = min(_FIRST_PAUSE_S * 2 ** min(attempt, _LAST_DOUBLING), _LONGEST_PAUSE_S)
        return random.uniform(0, pause)  # noqa: S311 - not a secret

    @property
    def _credentials_are_fixed(self) -> bool:
        return self.settings.secret_arn is None and not self.settings.iam_auth
