"""What one heartbeat is: its fields, how it is read by the exact rules, and how those of one device are merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hvac_heartbeat import fields
from hvac_heartbeat.fields import ID_LIMIT, INT4_MAX, VERSION_LIMIT, Unusable
from hvac_heartbeat.outcome import Complaint

# What `msgspec.convert` can check in C; the rest of the rules is in `fields`.
Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT)]
Status = Literal["ready", "degraded", "error"] | None
Version = Annotated[str, Meta(max_length=VERSION_LIMIT)] | None
Amount = Annotated[float, Meta(ge=0, le=1.7976931348623157e308)] | None
Count = Annotated[int, Meta(ge=0, le=INT4_MAX)] | None
Interval = Annotated[int, Meta(ge=1, le=INT4_MAX)] | None
Moment = Annotated[datetime, Meta(tz=True)] | None


class Heartbeat(msgspec.Struct, gc=False):
    """One device's proof of life, every value as PostgreSQL takes it: times in UTC, as it takes no offset of 16 hours.

    `None` means that the device did not say. `received_at` is the envelope's clock; `None` means that there was none
    and the database's now() counts.
    """

    device_id: Id
    site_id: Id
    received_at: datetime | None = None  # set from the envelope, whatever the payload says
    status: Status = None
    agent_version: Version = None
    cpu_pct: Amount = None
    disk_free_gb: Amount = None
    queue_depth: Count = None
    poll_interval_s: Interval = None
    last_upload_ts: Moment = None


YEAR_2 = datetime(2, 1, 1, tzinfo=UTC)

_READERS: dict[str, Callable[[object], object]] = {
    "status": fields.status,
    "agent_version": fields.agent_version,
    "cpu_pct": fields.amount,
    "disk_free_gb": fields.amount,
    "queue_depth": fields.count,
    "poll_interval_s": fields.interval,
}
OPTIONAL_FIELDS = (*_READERS, "last_upload_ts")
SITES_APART = 4


def read_exactly(body: Mapping[str, object], arrival: datetime | None) -> tuple[Heartbeat, list[Complaint]] | Complaint:
    """Read one heartbeat by the exact rules, and say which fields are ignored, or what it is rejected for."""
    heartbeat = Heartbeat("", "", received_at=arrival)
    for field in ("device_id", "site_id"):
        try:
            setattr(heartbeat, field, fields.identity(body.get(field)))
        except Unusable as unusable:
            return Complaint(field, str(unusable))
    ignored: list[Complaint] = []
    for field in OPTIONAL_FIELDS:
        value = body.get(field)
        if value is not None:
            try:
                read = _READERS[field](value) if field in _READERS else fields.past_moment(value, latest(arrival))
                setattr(heartbeat, field, read)
            except Unusable as unusable:
                ignored.append(Complaint(field, str(unusable)))
    return heartbeat, ignored


def latest(arrival: datetime | None) -> datetime:
    """Return what `last_upload_ts` is held against: the arrival, or now where the envelope's clock is ahead."""
    now = datetime.now(UTC)
    return now if arrival is None else min(arrival, now)


def merge(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Return the fewest heartbeats, oldest first, that leave the row that all of one device's would leave one by one.

    The newest alone where it says every field that the older ones say, which is the usual case. An older one stays for
    a field that nobody newer says: whether that value counts depends on the stored row, which may be newer. The newest
    sites are merged each by itself, because the database may refuse one of them and take another. So there are at most
    (4 sites and all others) times (7 optional fields and the newest). Of equal times the later in `heartbeats` counts
    as the newer, and no time is the newest of all, because it will be the database's now().
    """
    kept: list[Heartbeat] = []
    site_of_last: str | None = None
    unsaid: dict[str | None, tuple[str, ...]] = {}
    for heartbeat in _newest_first(heartbeats):
        site = heartbeat.site_id if heartbeat.site_id in unsaid or len(unsaid) < SITES_APART else None
        is_newest = site not in unsaid
        said = [field for field in unsaid.get(site, OPTIONAL_FIELDS) if getattr(heartbeat, field) is not None]
        if not (is_newest or said):
            continue
        unsaid[site] = tuple(field for field in unsaid.get(site, OPTIONAL_FIELDS) if field not in said)
        if not is_newest and site == site_of_last and heartbeat.received_at == kept[-1].received_at:
            kept[-1] = copy(kept[-1])
            for field in said:
                setattr(kept[-1], field, getattr(heartbeat, field))
        else:
            kept.append(heartbeat)
            site_of_last = site
    return kept[::-1]


def newest_sites(heartbeats: Iterable[Heartbeat]) -> set[str]:
    return set(list(dict.fromkeys(heartbeat.site_id for heartbeat in _newest_first(heartbeats)))[:SITES_APART])


def _newest_first(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    # Of equal times the last comes first, which reverse=True undoes.
    return sorted(heartbeats, key=lambda one: (one.received_at is None, one.received_at or YEAR_2))[::-1]


def of_several(heartbeats: Iterable[Heartbeat]) -> dict[str, list[Heartbeat]]:
    """Return the heartbeats of each device that has more than one, in the order of the devices' ids."""
    by_device: dict[str, list[Heartbeat]] = {}
    for heartbeat in heartbeats:
        by_device.setdefault(heartbeat.device_id, []).append(heartbeat)
    return {device_id: found for device_id, found in sorted(by_device.items()) if len(found) > 1}


def without_fields(heartbeat: Heartbeat) -> Heartbeat:
    """Return the sign of life alone: device, site and time."""
    return Heartbeat(heartbeat.device_id, heartbeat.site_id, heartbeat.received_at)
