"""The ledger of silence, as far as the ingest knows it: heartbeats that came late are evidence (docs/liveness.md)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.store.connection import array
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import StatementRefused

_LEFT_ALONE_S: Final = 300.0
# Heartbeats a statement, which locks their devices for a tenth of a second: others wait for no longer, and a retry gets
# further than a try that ran into a timeout.
_BATCH_LIMIT: Final = 1_000
_NO_LEDGER: Final = "42883"  # undefined_function (PostgreSQL manual, appendix A)
# What may pass by itself: connections, logins, failovers, deadlocks, locks, cancellations and restarts. All else waits
# for a person, and heartbeats must not wait with it.
_MAY_PASS: Final = ("08", "25", "28", "3D", "40", "53300", "55P03", "57")


class Ledger:
    """Notes late heartbeats in a database that has a ledger, and leaves one alone that cannot take them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = queries()["note_late_heartbeats"].encode()
        self._left_alone_until = 0.0

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        """Note heartbeats, all of them with a time, and return what keeps the ledger from it.

        A database without a ledger is no reason. Either is asked again after five minutes only. Raises StoreUnavailable
        for what may pass: sent again, the heartbeats will be late again.
        """
        if time.monotonic() < self._left_alone_until:
            return None
        try:
            for start in range(0, len(heartbeats), _BATCH_LIMIT):
                part = heartbeats[start : start + _BATCH_LIMIT]
                columns = zip(*((late.device_id, late.received_at, late.site_id) for late in part), strict=True)
                self._database.execute(self._statement, [array(column) for column in columns], deadline)
        except (StatementRefused, StoreUnavailable) as error:
            if error.sqlstate is None or error.sqlstate.startswith(_MAY_PASS):
                raise
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            return None if error.sqlstate == _NO_LEDGER else f"{error.cause} (SQLSTATE {error.sqlstate})"
        return None
