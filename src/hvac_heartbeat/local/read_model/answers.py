"""The read model's answers. Nothing in them grows with the clock alone, so that a fleet at rest has one ETag.

Times are in UTC, or None where the database has one that no calendar has. Texts are as devices sent them: whoever
shows one escapes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some rows of a list; `after` is what to ask the next page with, None on the last."""

    rows: list[T]
    after: str | None


class FleetSilence(msgspec.Struct, frozen=True):
    """Almost nobody of the fleet is heard; `evidence` says why it is us, as far as that is known."""

    silent_from: datetime
    evidence: str | None


class Message(msgspec.Struct, frozen=True):
    """What was told: `kind` is Silence Opened, Silence Ended or Ingest Deaf."""

    id: int
    created_at: datetime
    kind: str
    text: str


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole fleet is. A device in maintenance is counted in `devices` and `in_maintenance` alone.

    `deaf_since` is when we stopped to hear anybody, as far as we know; it is None while we hear. Without the ledger
    (`has_ledger`) nobody knows of maintenance, rules and deafness; without telling (`has_telling`) the last three are
    None.
    """

    devices: int
    online: int
    stale: int
    unknown: int
    in_maintenance: int
    not_delivering: int
    sites: int
    dark_sites: int
    newest_heartbeat: datetime | None
    has_ledger: bool
    has_telling: bool
    deaf_since: datetime | None = None
    open_episodes: int | None = None
    fleet_silence: FleetSilence | None = None
    last_message: Message | None = None


class Site(msgspec.Struct, frozen=True):
    """A site, counted as the fleet is. It is dark while all of its devices that count are stale."""

    site_id: str
    is_dark: bool
    dark_since: datetime | None
    devices: int
    online: int
    stale: int
    unknown: int
    in_maintenance: int
    not_delivering: int


class Device(msgspec.Struct, frozen=True):
    """A device of a site.

    `liveness` is online, stale or unknown; `status` (ready, degraded, error) is what the device says of itself;
    `delivering` is None where nobody knows.
    """

    device_id: str
    liveness: str
    silent_from: datetime | None
    last_seen_ts: datetime | None
    stale_after: timedelta | None
    status: str | None
    delivering: bool | None
    in_maintenance: bool


class SiteDevices(msgspec.Struct, frozen=True):
    """A site with a page of its devices, the worst first."""

    site: Site
    devices: Page[Device]


class StaleDevice(msgspec.Struct, frozen=True):
    """A device that is silent for longer than its rule allows."""

    device_id: str
    site_id: str
    silent_from: datetime
    stale_after: timedelta | None
    status: str | None


class NotDelivering(msgspec.Struct, frozen=True):
    """A device that is heard while its queue waits, and that uploaded nothing within its stale_after."""

    device_id: str
    site_id: str
    status: str | None
    queue_depth: int
    last_upload_ts: datetime | None


class Overview(msgspec.Struct, frozen=True):
    """The first page, all of one moment. Its lists begin with who fell silent last, and who uploaded longest ago."""

    fleet: Fleet
    sites: Page[Site]
    stale_devices: list[StaleDevice]
    more_stale_devices: bool
    not_delivering: list[NotDelivering]


class Silence(msgspec.Struct, frozen=True):
    """A silence of more than 120 seconds; `silent_to` and `length` are None while it lasts.

    `counts` says whether it is longer than the device's rule allows, in time in which we could hear.
    """

    device_id: str
    site_id: str
    silent_from: datetime
    silent_to: datetime | None
    length: timedelta | None
    counts: bool


class Window(msgspec.Struct, frozen=True):
    """Maintenance, or a time in which we were deaf; without `ends_at` it goes on."""

    starts_at: datetime
    ends_at: datetime | None
    note: str
    scope: str | None = None


class Rule(msgspec.Struct, frozen=True):
    """Which rule holds for a device: its own, its site's, the fleet's, or the default."""

    scope: str
    subject: str


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the observed time was not silent; None where nothing was observed."""

    availability: Decimal | None
    observed: timedelta | None
    silent: timedelta | None
    silences: int
    longest: timedelta | None
    mean_time_to_return: timedelta | None


class DeviceHistory(msgspec.Struct, frozen=True, kw_only=True):
    """A device: its last heartbeat, the rule, and what a timeline of `since` to `until` (30 days) needs.

    `until` is the last full minute. `silences` are the newest first, those that do not count too; `more_silences` says
    that there are older ones in this time. Windows may reach beyond it on both sides.
    """

    device_id: str
    site_id: str
    liveness: str
    silent_from: datetime | None
    last_seen_ts: datetime | None
    stale_after: timedelta | None
    delivering: bool | None
    in_maintenance: bool
    status: str | None
    agent_version: str | None
    cpu_pct: float | None
    disk_free_gb: float | None
    queue_depth: int | None
    poll_interval_s: int | None
    last_upload_ts: datetime | None
    since: datetime
    until: datetime
    rule: Rule | None = None
    availability: Availability | None = None
    silences: list[Silence] = []
    more_silences: bool = False
    maintenance: list[Window] = []
    deaf: list[Window] = []


class SiteAvailability(Availability, frozen=True, kw_only=True):
    """The availability of a site: the times of its devices together."""

    site_id: str
    devices: int


class WorstSites(msgspec.Struct, frozen=True):
    """The sites that were least available from `since` to `until`, when this was worked out; the worst first."""

    since: datetime
    until: datetime
    sites: list[SiteAvailability]
