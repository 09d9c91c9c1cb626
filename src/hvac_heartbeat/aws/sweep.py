"""What a tick of the schedule does: sweep, deliver, and remember when the database could not be reached."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hvac_heartbeat.aws import health
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.telling import Telling

if TYPE_CHECKING:
    from hvac_heartbeat.channels import Channels
    from hvac_heartbeat.store.database import Database


class Sweeper:
    """A container's sweeps. Where the database has no telling, they count what they always counted."""

    def __init__(self, database: Database, channels: Channels) -> None:
        self._database = database
        self._channels = channels
        self._telling = Telling(database)
        self._failed_first: datetime | None = None
        self._failed_last: datetime | None = None

    def run(self, deadline: float) -> dict[str, int]:
        """Sweep, deliver, and return what there is to log as metrics: `skipped` alone where another sweep is running.

        Raises:
            StoreUnavailable: the database did not answer; the next sweep that reaches it says since when.
        """
        try:
            return self._run(deadline)
        except StoreUnavailable:
            self._failed_last = datetime.now(UTC)
            self._failed_first = self._failed_first or self._failed_last
            raise

    def _run(self, deadline: float) -> dict[str, int]:
        if not self._telling.is_there(deadline):
            fleet, stale = health.sweep(self._database, deadline)
            return {"fleet_devices": fleet, "stale_devices": stale}
        unreachable = None
        if self._failed_first is not None and self._failed_last is not None:
            unreachable = (self._failed_first, self._failed_last)
        started = time.perf_counter()
        swept = self._telling.sweep(unreachable, self._channels.canary, deadline)
        milliseconds = int((time.perf_counter() - started) * 1000)
        if swept.is_skipped:
            return {"skipped": 1}
        self._failed_first = self._failed_last = None
        counts = {"fleet_devices": swept.devices, "stale_devices": swept.stale, "told": swept.messages}
        counts |= {"sweep_ms": milliseconds, "fleet_silent": int(swept.is_fleet_silent)}
        return counts | self._deliver(deadline)

    def _deliver(self, deadline: float) -> dict[str, int]:
        from hvac_heartbeat.aws.delivery import channels_of, deliver

        channels = channels_of(self._channels)
        if not channels:
            return {}
        delivered, failed = deliver(self._telling, channels, deadline)
        return {"delivered": delivered, "undelivered": failed}
