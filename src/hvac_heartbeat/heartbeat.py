"""What one heartbeat is: its fields, how it is read from decoded JSON, and how two of one device become one."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from hvac_heartbeat import fields
from hvac_heartbeat.fields import ID_LIMIT, INT4_MAX, VERSION_LIMIT, Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What `msgspec.convert` can check in C; the rest of the rules is in `fields`.
Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT)]
Status = Literal["ready", "degraded", "error"] | None
Version = Annotated[str, Meta(max_length=VERSION_LIMIT)] | None
Amount = Annotated[float, Meta(ge=0, le=1.7976931348623157e308)] | None
Count = Annotated[int, Meta(ge=0, le=INT4_MAX)] | None
Interval = Annotated[int, Meta(ge=1, le=INT4_MAX)] | None
Moment = Annotated[datetime, Meta(tz=True)] | None


class Heartbeat(msgspec.Struct, gc=False):
    """One device's proof of life, every value as PostgreSQL takes it.

    `None` means that the device did not say. `received_at` is the envelope's clock (aware); `None` means that there
    was none and the database's now() counts.
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


class Complaint(msgspec.Struct, frozen=True):
    """One field that could not be taken, and why. `index` counts the heartbeats of the event from 0."""

    index: int
    device_id: object
    field: str
    reason: str


class HeartbeatRejected(Exception):
    """A heartbeat without a usable identity; it can never be written."""

    def __init__(self, field: str, reason: str) -> None:
        """Take the field's name and the reason, to be read one after the other."""
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


_YEAR_2 = datetime(2, 1, 1, tzinfo=UTC)

OPTIONAL: dict[str, Callable[[object], object]] = {
    "status": fields.status,
    "agent_version": fields.agent_version,
    "cpu_pct": fields.amount,
    "disk_free_gb": fields.amount,
    "queue_depth": fields.count,
    "poll_interval_s": fields.interval,
}
_MERGED = (*OPTIONAL, "last_upload_ts")


def read(body: object, arrival: datetime | None) -> tuple[Heartbeat, list[tuple[str, str]]]:
    """Read one heartbeat by the exact rules; the second part lists the ignored fields with their reasons.

    Raises:
        HeartbeatRejected: when it is no object, or its `device_id` or `site_id` cannot be taken.
    """
    if not isinstance(body, dict):
        raise HeartbeatRejected("heartbeat", "is not a JSON object")
    heartbeat = Heartbeat(_identity(body, "device_id"), _identity(body, "site_id"), received_at=arrival)
    ignored: list[tuple[str, str]] = []
    for field, reader in OPTIONAL.items():
        value = body.get(field)
        if value is not None:
            try:
                setattr(heartbeat, field, reader(value))
            except Unusable as unusable:
                ignored.append((field, str(unusable)))
    upload = body.get("last_upload_ts")
    if upload is not None:
        try:
            heartbeat.last_upload_ts = read_upload(upload, arrival)
        except Unusable as unusable:
            ignored.append(("last_upload_ts", str(unusable)))
    return heartbeat, ignored


def read_upload(value: object, arrival: datetime | None) -> datetime:
    """Read `last_upload_ts` of a heartbeat that arrived then, or now.

    Raises:
        Unusable: with the reason.
    """
    now = datetime.now(UTC)  # what is written is never later, whatever the envelope's clock says
    return fields.past_moment(value, now if arrival is None else min(arrival, now))


def _identity(body: dict[str, object], field: str) -> str:
    try:
        return fields.identity(body.get(field))
    except Unusable as unusable:
        raise HeartbeatRejected(field, str(unusable)) from unusable


def merge(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Make one heartbeat a device, ordered by device id.

    Those of one device are merged in order of arrival, the later in the batch winning where times are equal; a field
    that the newer one does not mention keeps what the older one said. `site_id` and the time are the newest one's.
    No time counts as the latest, because it will be the database's now(). Ordered by code point, which is the one
    order that all writers share: concurrent batches lock rows in the same order and cannot deadlock.
    """
    heartbeats = list(heartbeats)
    single = {heartbeat.device_id: heartbeat for heartbeat in heartbeats}
    if len(single) == len(heartbeats):
        return [single[device_id] for device_id in sorted(single)]
    by_device: dict[str, Heartbeat | list[Heartbeat]] = {}
    for heartbeat in heartbeats:
        known = by_device.setdefault(heartbeat.device_id, heartbeat)
        if isinstance(known, list):
            known.append(heartbeat)
        elif known is not heartbeat:
            by_device[heartbeat.device_id] = [known, heartbeat]
    return [
        _merge_one_device(found) if isinstance(found, list) else found
        for _, found in sorted(by_device.items(), key=_device_id)
    ]


def _device_id(item: tuple[str, object]) -> str:
    return item[0]


def _merge_one_device(heartbeats: list[Heartbeat]) -> Heartbeat:
    oldest, *newer = sorted(heartbeats, key=arrival_order)
    merged = copy(oldest)
    for heartbeat in newer:
        merged.site_id = heartbeat.site_id
        merged.received_at = heartbeat.received_at
        for field in _MERGED:
            said = getattr(heartbeat, field)
            if said is not None:
                setattr(merged, field, said)
    return merged


def arrival_order(heartbeat: Heartbeat) -> tuple[bool, datetime]:
    """Return what heartbeats of one device are ordered by; no time is the latest of all."""
    return heartbeat.received_at is None, heartbeat.received_at or _YEAR_2
