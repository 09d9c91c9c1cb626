"""Whether the database can be reached, asked at most once in some seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from hvac_heartbeat.store.database import Database

REMEMBERED_S = 5.0


class Health:
    """A container's last look at its database; a flood of probes is not to become a flood of queries."""

    def __init__(self, database: Database) -> None:
        """Take the container's database."""
        self._database = database
        self._looked_at = -REMEMBERED_S
        self._failure: StoreUnavailable | None = None

    def failure(self, deadline: float) -> StoreUnavailable | None:
        """Return what kept the database from answering, None when it answered; `deadline` is of `time.monotonic`."""
        now = time.monotonic()
        if now - self._looked_at >= REMEMBERED_S:
            self._failure = self._look(deadline)
            self._looked_at = time.monotonic()
        return self._failure

    def _look(self, deadline: float) -> StoreUnavailable | None:
        try:
            self._database.run(queries()["look"], deadline)
        except StoreUnavailable as failure:
            return failure
        return None
