"""The container's one connection: opened at first use, kept, and replaced when it turns out broken."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import psycopg

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.connection import cancel_and_close, connect, texts
from hvac_heartbeat.store.sqlstates import Failure, Remedy, StatementRefused, classify
from hvac_heartbeat.store.timeout import BoundedConnection, DeadlinePassed

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_LAST_DOUBLING = 10
_ON_ANOTHER_CONNECTION = (Remedy.RECONNECT, Remedy.REDIRECT, Remedy.CREDENTIALS)


class _Tries(msgspec.Struct):
    """What was tried for one statement: the attempts that failed, the remedies, and what there is to report."""

    failed: int = 0
    spent: set[Remedy] = msgspec.field(default_factory=set)
    reported: StoreUnavailable | None = None


class Database:
    """Runs statements on the container's connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.milliseconds = 0.0  # time spent waiting for the database; who reports it sets it back to zero
        self._connection: BoundedConnection | None = None

    def run(self, statement: str, deadline: float) -> list[list[str]]:
        """Run a statement without parameters as `execute` does, and return its rows as text."""
        return texts(self.execute(statement.encode(), (), deadline))

    def execute(self, statement: bytes, parameters: Sequence[bytes | None], deadline: float) -> PGresult:
        """Run one statement in a transaction of its own and return its answer as it came.

        A broken connection is replaced and the statement sent once more, and what may pass is tried again while there
        is time, so it must be a statement that can be repeated. `parameters` are in PostgreSQL's text form, `deadline`
        is in seconds of `time.monotonic`. Raises StatementRefused for what can be the fault of one of the rows, and
        StoreUnavailable for anything else.
        """
        if time.monotonic() >= deadline:
            raise StoreUnavailable("no time was left to write the heartbeats")
        started = time.perf_counter()
        tries = _Tries()
        try:
            while True:
                try:
                    if self._connection is None:
                        self._connection = connect(self.settings, deadline)
                    self._connection.deadline = deadline
                    return self._connection.send(statement, parameters)
                except psycopg.Error as error:
                    self._recover(error, tries, deadline)
        finally:
            self.milliseconds += (time.perf_counter() - started) * 1000

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _recover(self, error: psycopg.Error, tries: _Tries, deadline: float) -> None:
        """Make ready for another attempt, after a pause; raise where there is to be none."""
        found = classify(error, self._connection.where if self._connection is not None else None)
        if found.remedy is Remedy.REFUSED:
            # Under no name here: with its traceback it would hold itself, and the batch, until garbage is collected.
            raise StatementRefused(found.unavailable(), error) from error
        if tries.reported is None or not found.late:
            tries.reported = found.unavailable()
        if self._connection is not None:
            if isinstance(error, DeadlinePassed):
                cancel_and_close(self._connection)
            if self._connection.closed or found.remedy in _ON_ANOTHER_CONNECTION:
                self.close()
        pause = self._pause(found, tries.failed, tries.spent)
        if pause is None or time.monotonic() + pause >= deadline:
            raise tries.reported from error
        time.sleep(pause)
        tries.failed += 1

    def _pause(self, found: Failure, attempt: int, spent: set[Remedy]) -> float | None:
        """Return how long to wait before the next attempt, None when there is to be none."""
        are_fixed = self.settings.secret_arn is None and not self.settings.iam_auth
        if found.remedy is Remedy.NONE or (found.remedy is Remedy.CREDENTIALS and are_fixed):
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
