"""What is asked of the database besides writing: whether it answers, and how many devices are stale."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from hvac_heartbeat.store.database import Database

REMEMBERED_S = 5.0
PATIENCE_S = 1.5  # a load balancer or a monitor wants its answer within 2 s


class Health:
    """A container's last look at its database; a flood of probes is not to become a flood of queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at = -REMEMBERED_S
        self._failure: StoreUnavailable | None = None

    def failure(self, deadline: float) -> StoreUnavailable | None:
        """Return what kept the database from answering, None when it answered; `deadline` is of `time.monotonic`."""
        now = time.monotonic()
        if now - self._looked_at >= REMEMBERED_S:
            self._failure = None
            try:
                self._database.run(queries()["look"], min(deadline, now + PATIENCE_S))
            except StoreUnavailable as failure:
                self._failure = failure
            self._looked_at = time.monotonic()
        return self._failure


def sweep(database: Database, deadline: float) -> tuple[int, int]:
    """Count the fleet in `device_state` and the stale devices in `v_devices_stale`.

    Raises:
        StoreUnavailable: when it could not be counted, also when the view is not there: a fleet whose silence nobody
            can see must not look healthy.
    """
    try:
        [(fleet, stale)] = database.run(queries()["sweep"], deadline)
    except StoreUnavailable as failure:
        raise StoreUnavailable(
            f"the stale devices could not be counted: {failure} (it takes SELECT on device_state and v_devices_stale)",
            sqlstate=failure.sqlstate,
            where=failure.where,
            cause=failure.cause,
        ) from failure
    return int(fleet), int(stale)
