"""A report on one device, and an hour to report on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tests.database.ledger.clock import Ledger

NONE = timedelta(0)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Report:
    """What is told of a device; without more, one that was available all the time."""

    observed: timedelta
    silent: timedelta = NONE
    availability: Decimal | None = Decimal(1)
    silences: int = 0
    longest: timedelta = NONE
    mean_time_to_return: timedelta | None = None


def report(ledger: Ledger, since: datetime | None, until: datetime | None, device: str = "a") -> Report:
    """Return what is told of a device."""
    row = ledger.one("SELECT * FROM device_availability(%s, %s) WHERE device_id = %s", since, until, device)
    return Report(*row[2:])


def steady(ledger: Ledger, device: str, first: datetime, last: datetime, *, site: str = "north") -> None:
    """Write a heartbeat every two minutes: no silence."""
    ledger.connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES (%s, %s, %s)"
        " ON CONFLICT (device_id) DO UPDATE SET last_seen_ts = excluded.last_seen_ts, site_id = excluded.site_id",
        [device, site, first],
    )
    ledger.connection.execute("UPDATE device_state SET last_seen_ts = %s WHERE device_id = %s", [first, device])
    while first < last:
        first = min(first + 2 * MINUTE, last)
        ledger.connection.execute("UPDATE device_state SET last_seen_ts = %s WHERE device_id = %s", [first, device])


# Of a device that was silent for a quarter of an hour in an hour, and of one that was not observed.
QUARTER = Report(HOUR, 15 * MINUTE, Decimal("0.75"), 1, 15 * MINUTE, 15 * MINUTE)
NOTHING = Report(NONE, availability=None)
