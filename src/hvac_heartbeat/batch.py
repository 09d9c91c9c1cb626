"""Reads a whole batch at once: in C where nothing is amiss, and column by column where a column is.

An agent release that adds a status makes every heartbeat of a fleet need the exact rules for that one field; the others
still pass in C. What comes out is what `heartbeat.read` makes of each heartbeat, which a property test holds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from hvac_heartbeat.fields import CLOCK_TOLERANCE, Unusable
from hvac_heartbeat.heartbeat import (
    OPTIONAL,
    Amount,
    Count,
    Heartbeat,
    Id,
    Interval,
    Moment,
    Status,
    Version,
    read_upload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    Arrivals = Sequence[datetime | None]
    Ignored = list[tuple[int, str, str]]

_TYPES: dict[str, Any] = {
    "status": Status,
    "agent_version": Version,
    "cpu_pct": Amount,
    "disk_free_gb": Amount,
    "queue_depth": Count,
    "poll_interval_s": Interval,
    "last_upload_ts": Moment,
}
_HEARTBEATS = list[Heartbeat]
_LISTS: dict[str, Any] = {field: list[kind] for field, kind in _TYPES.items()}  # type: ignore[valid-type]
_YEAR_2 = datetime(2, 1, 1, tzinfo=UTC)
# The latter for a lone surrogate where C wants UTF-8.
_NOT_IN_C = (msgspec.ValidationError, UnicodeEncodeError)


class _Identified(msgspec.Struct, gc=False):
    """A heartbeat of which only the identity has been looked at."""

    device_id: Id
    site_id: Id
    status: object = None
    agent_version: object = None
    cpu_pct: object = None
    disk_free_gb: object = None
    queue_depth: object = None
    poll_interval_s: object = None
    last_upload_ts: object = None


def read_all(bodies: Sequence[object], arrivals: Arrivals) -> tuple[list[Heartbeat], Ignored] | None:
    """Read the heartbeats, and list the ignored fields as index, field and reason.

    None when any identity needs the exact rules of `heartbeat.read`.
    """
    try:
        heartbeats = msgspec.convert(bodies, _HEARTBEATS)
    except _NOT_IN_C:
        return _read_columns(bodies, arrivals)
    for heartbeat, arrival in zip(heartbeats, arrivals, strict=True):
        heartbeat.received_at = arrival
    if not (
        _plausible([heartbeat.last_upload_ts for heartbeat in heartbeats], arrivals)
        and _printable([heartbeat.agent_version for heartbeat in heartbeats])
    ):
        return _read_columns(bodies, arrivals)
    return (heartbeats, []) if _clean_identities(heartbeats) else None


def _read_columns(bodies: Sequence[object], arrivals: Arrivals) -> tuple[list[Heartbeat], Ignored] | None:
    try:
        identified = msgspec.convert(bodies, list[_Identified])
    except _NOT_IN_C:
        return None
    if not _clean_identities(identified):
        return None
    ignored: Ignored = []
    columns = [_column(field, list(map(attrgetter(field), identified)), arrivals, ignored) for field in _TYPES]
    ignored.sort(key=itemgetter(0))
    ids, sites = ([getattr(each, field) for each in identified] for field in ("device_id", "site_id"))
    return list(map(Heartbeat, ids, sites, arrivals, *columns)), ignored


def _column(field: str, values: list[Any], arrivals: Arrivals, ignored: Ignored) -> list[Any]:
    try:
        column: list[Any] = msgspec.convert(values, _LISTS[field])
    except _NOT_IN_C:
        pass
    else:
        if field == "agent_version":
            clean = _printable(column)
        else:
            clean = field != "last_upload_ts" or _plausible(column, arrivals)
        if clean:
            return column
    return [
        None if value is None else _value(field, value, index, arrivals, ignored) for index, value in enumerate(values)
    ]


def _value(field: str, value: object, index: int, arrivals: Arrivals, ignored: Ignored) -> object:
    try:
        return read_upload(value, arrivals[index]) if field == "last_upload_ts" else OPTIONAL[field](value)
    except Unusable as unusable:
        ignored.append((index, field, str(unusable)))
        return None


def _plausible(uploads: list[datetime | None], arrivals: Arrivals) -> bool:
    """Say whether all these times may be believed, going by the earliest arrival for all of them."""
    told = [upload for upload in uploads if upload is not None]
    if not told:
        return True
    now = datetime.now(UTC)
    earliest = min((arrival for arrival in arrivals if arrival is not None), default=now)
    return _YEAR_2 < min(told) <= max(told) <= min(earliest, now) + CLOCK_TOLERANCE


def _clean_identities(heartbeats: Sequence[Heartbeat | _Identified]) -> bool:
    ids = [heartbeat.device_id for heartbeat in heartbeats]
    ids += {heartbeat.site_id for heartbeat in heartbeats}
    texts = "".join(ids)
    # Of white space only " " is printable; without any, nothing can need trimming.
    return texts.isprintable() and not (" " in texts and any(text != text.strip() for text in ids))


def _printable(texts: list[str | None]) -> bool:
    """Say whether no text holds a control character or a surrogate: all of those are unprintable."""
    return "".join({text or "" for text in texts}).isprintable()
