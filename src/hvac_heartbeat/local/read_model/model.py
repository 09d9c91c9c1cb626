"""What can be asked: the fleet, its sites, its devices, their silences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from msgspec import convert

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.read_model.answers import (
    Availability,
    Device,
    DeviceHistory,
    Fleet,
    FleetSilence,
    Message,
    NotDelivering,
    Overview,
    Page,
    Rule,
    Silence,
    Site,
    SiteDevices,
    StaleDevice,
    Window,
    WorstSites,
)
from hvac_heartbeat.local.read_model.connection import ReadConnection
from hvac_heartbeat.local.read_model.paging import KeyRefused, Row, device_key, page, silence_key, site_key, values
from hvac_heartbeat.local.read_model.worst import Worst, last_month

if TYPE_CHECKING:
    from hvac_heartbeat.local.read_model.connection import Snapshot
    from hvac_heartbeat.settings import Settings

T = TypeVar("T")

_PATIENCE_S: Final = 5.0
_MOST_SILENCES: Final = 1_000  # of one device in a month, which has room for 21,600 of two minutes


class LedgerMissing(HvacHeartbeatError):
    """There is no ledger of silence in this database: `hvac-heartbeat migrate` makes it."""


class ReadModel:
    """Answers from the database that the settings name. Any thread may ask; one is served at a time.

    StoreUnavailable is raised where the database does not answer, LedgerMissing by what needs the ledger where there is
    none, and KeyRefused for an `after` that no page of the same list gave.
    """

    def __init__(self, settings: Settings) -> None:
        self._database = ReadConnection(settings, _PATIENCE_S)
        self._worst = Worst(settings)

    def close(self) -> None:
        self._database.close()
        self._worst.close()

    def failure(self) -> str | None:
        """Return why the last question was not answered, for whoever runs this and nobody else; None when it was."""
        return self._database.failure()

    def fleet(self) -> Fleet:
        return self._database.read(_fleet)

    def sites(self, search: str | None = None, after: str | None = None, limit: int = 100) -> Page[Site]:
        """Return the sites whose names hold `search`, in capitals or not, the worst first."""
        key = values(after, 6)
        return self._read_after(lambda found: _sites(found, search, key, limit))

    def overview(
        self, search: str | None = None, after: str | None = None, sites: int = 48, rows: int = 15
    ) -> Overview:
        """Return the fleet, a page of its sites as `sites` does, and the beginnings of two lists, all of one moment."""
        key = values(after, 6)

        def ask(found: Snapshot) -> Overview:
            stale = found.rows("stale_devices", rows + 1)
            return Overview(
                _fleet(found),
                _sites(found, search, key, sites),
                stale_devices=convert(stale[:rows], list[StaleDevice]),
                more_stale_devices=len(stale) > rows,
                not_delivering=convert(found.rows("not_delivering", rows), list[NotDelivering]),
            )

        return self._read_after(ask)

    def site(self, site_id: str, after: str | None = None, limit: int = 100) -> SiteDevices | None:
        """Return a site and its devices, the worst first; None where none has sent a heartbeat."""
        key = values(after, 5)

        def ask(found: Snapshot) -> SiteDevices | None:
            site = found.row("site", site_id)
            rows = found.rows("devices_of_site", site_id, key, limit + 1)
            devices = page(rows, limit, device_key, lambda row: convert(row, Device))
            return SiteDevices(convert(site, Site), devices) if site else None

        return self._read_after(ask)

    def device(self, device_id: str) -> DeviceHistory | None:
        """Return what is known of a device; None where it has sent no heartbeat."""
        return self._database.read(lambda found: _device(found, device_id))

    def silences(
        self,
        site: str | None = None,
        device: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        is_open: bool = False,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Silence]:
        """Return the silences that lie in a time at least in part, or only those that last, the newest first."""
        key = values(after, 2)

        def ask(found: Snapshot) -> Page[Silence]:
            if not found.has_ledger:
                raise LedgerMissing
            rows = found.rows("silences", site, device, since, until, is_open, None, key, limit + 1)
            return page(rows, limit, silence_key, _silence)

        return self._read_after(ask)

    def newest_message(self) -> int | None:
        """Return the id of the last message, 0 before the first; None in a database that tells nobody."""
        return self._database.read(lambda found: found.row("newest_message")["id"] if found.has_telling else None)

    def messages_since(self, newest: int) -> list[Message]:
        """Return the messages that were written after the one of this id, the oldest first."""
        return self._database.read(lambda found: convert(found.rows("messages_since", newest), list[Message]))

    def worst_this_month(self, limit: int = 10) -> WorstSites | None:
        """Return the sites that were least available in the last 30 days, as of some minutes ago; the worst first.

        None until this has been worked out, which the first call begins, and without the ledger. Never raises.
        """
        return self._worst.sites(limit)

    def _read_after(self, ask: Callable[[Snapshot], T]) -> T:
        try:
            return self._database.read(ask)
        except psycopg.DataError as error:
            raise KeyRefused from error


def _fleet(found: Snapshot) -> Fleet:
    parts: Row = {"has_ledger": found.has_ledger, "has_telling": found.has_telling}
    parts |= found.row("fleet") | found.row("newest_heartbeat")
    if found.has_ledger:
        parts |= found.row("deaf_since")
    if found.has_telling:
        told = found.row("told")
        parts["open_episodes"] = told["open_episodes"]
        if told["fleet_silent_since"] is not None:
            parts["fleet_silence"] = FleetSilence(told["fleet_silent_since"], told["evidence"])
        if told["created_at"] is not None:
            parts["last_message"] = Message(told["id"], told["created_at"], told["kind"], told["text"])
    return Fleet(**parts)


def _sites(found: Snapshot, search: str | None, key: list[str] | None, limit: int) -> Page[Site]:
    rows = found.rows("sites", search, key, limit + 1)
    return page(rows, limit, site_key, lambda row: convert(row, Site))


def _device(found: Snapshot, device_id: str) -> DeviceHistory | None:
    since, until = last_month()
    known = found.row("device", device_id)
    if not known:
        return None
    parts = known | {"since": since, "until": until}
    if found.has_ledger:
        site = known["site_id"]
        silences = found.rows("silences", None, device_id, since, None, None, None, None, _MOST_SILENCES + 1)
        parts |= {
            "rule": convert(found.row("rule", site, device_id), Rule),
            "availability": convert(found.row("availability_of_device", device_id, until), Availability),
            "silences": [_silence(row) for row in silences[:_MOST_SILENCES]],
            "more_silences": len(silences) > _MOST_SILENCES,
            "maintenance": convert(found.rows("maintenance", site, device_id, since), list[Window]),
            "deaf": convert(found.rows("deaf", since), list[Window]),
        }
    return convert(parts, DeviceHistory)


def _silence(row: Row) -> Silence:
    return convert(row | {"length": row["length"] if row["silent_to"] else None}, Silence)
