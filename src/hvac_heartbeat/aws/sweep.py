"""The sweep, which a bare tick of a schedule runs: how many devices there are and how many of them are stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from hvac_heartbeat.store.database import Database


class Swept(msgspec.Struct, frozen=True):
    """What a sweep counted."""

    fleet: int
    stale: int


def sweep(database: Database, deadline: float) -> Swept:
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
    return Swept(fleet, stale)
