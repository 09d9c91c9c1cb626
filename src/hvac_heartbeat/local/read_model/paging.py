"""Pages of a list, by the key of their last row: the values that the list is ordered by, as a text for a URL."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.read_model.answers import Page

T = TypeVar("T")
Row = dict[str, Any]

_RANKS: Final = {"stale": 1, "unknown": 2, "online": 3}


class KeyRefused(HvacHeartbeatError):
    """`after` is not what a page of this list gave."""


def page(rows: list[Row], limit: int, key: Callable[[Row], list[object]], row: Callable[[Row], T]) -> Page[T]:
    """Return a page of `limit` rows; one more than that were asked for, to know whether it is the last."""
    after = None
    if len(rows) > limit:
        values = [str(value) for value in key(rows[limit - 1])]
        after = urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")
    return Page([row(one) for one in rows[:limit]], after)


def values(after: str | None, count: int) -> list[str] | None:
    """Return what a key holds; None without one. Whether the values are of the right types is the database's to say.

    Raises:
        KeyRefused: it does not hold this many.
    """
    if after is None:
        return None
    try:
        found = msgspec.json.decode(urlsafe_b64decode(after + "=" * (-len(after) % 4)), type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise KeyRefused from error
    if len(found) != count:
        raise KeyRefused
    return found


def site_key(row: Row) -> list[object]:
    """Return what `sites` is ordered by."""
    since = row["dark_since"] or "infinity"
    return [not row["is_dark"], -row["stale"], since, -row["not_delivering"], -row["unknown"], row["site_id"]]


def device_key(row: Row) -> list[object]:
    """Return what `devices_of_site` is ordered by."""
    delivering = 2 if row["delivering"] is None else int(row["delivering"])
    since = row["silent_from"] or "infinity"
    return [row["in_maintenance"], _RANKS[row["liveness"]], delivering, since, row["device_id"]]


def silence_key(row: Row) -> list[object]:
    """Return what `silences` is ordered by."""
    return [row["silent_from"], row["device_id"]]
