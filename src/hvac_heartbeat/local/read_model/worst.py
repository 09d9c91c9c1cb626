"""Which sites were least available: half a second of work for 10,000 devices, hence done apart and seldom."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from msgspec import convert

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.read_model.answers import SiteAvailability, WorstSites
from hvac_heartbeat.local.read_model.connection import ReadConnection

if TYPE_CHECKING:
    from hvac_heartbeat.local.read_model.connection import Snapshot
    from hvac_heartbeat.settings import Settings

_LONGEST_S: Final = 300.0  # until it is worked out anew
_SHORTEST_S: Final = 10.0
_SHARE: Final = 100  # how much longer the pause is than the work, within these bounds
_PATIENCE_S: Final = 60.0
_MOST: Final = 100
_MONTH: Final = timedelta(days=30)


def last_month() -> tuple[datetime, datetime]:
    """Return when the last 30 days began and ended: at a full minute, so that answers stay the same for one."""
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    return until - _MONTH, until


class Worst:
    """Works it out in a thread and on a connection of its own, when somebody asks and the last answer is old."""

    def __init__(self, settings: Settings) -> None:
        self._database = ReadConnection(settings, _PATIENCE_S)
        self._lock = Lock()
        self._found: WorstSites | None = None
        self._next_at = 0.0

    def sites(self, limit: int = 10) -> WorstSites | None:
        """Return the last answer at once, and have it renewed where it is old; None until there is one.

        There is none without the ledger. Sites of which nothing was observed are not among them.
        """
        with self._lock:
            if time.monotonic() >= self._next_at:
                self._next_at = time.monotonic() + _LONGEST_S
                Thread(target=self._renew, daemon=True).start()
            found = self._found
        return found and WorstSites(found.since, found.until, found.sites[:limit])

    def close(self) -> None:
        self._database.close()

    def _renew(self) -> None:
        started = time.monotonic()
        try:
            found = self._database.read(_worst)
        except HvacHeartbeatError:  # whoever shows this asks for the fleet too, and says then that the database is away
            found = self._found
        ended = time.monotonic()
        with self._lock:
            self._found = found
            self._next_at = ended + min(max(_SHARE * (ended - started), _SHORTEST_S), _LONGEST_S)


def _worst(found: Snapshot) -> WorstSites | None:
    if not found.has_ledger:
        return None
    since, until = last_month()
    rows = found.rows("availability_of_sites", since, until, None, _MOST)
    sites = convert([row for row in rows if row["availability"] is not None], list[SiteAvailability])
    return WorstSites(since, until, sites)
