"""A device's last thirty days as a picture: a row for each day of UTC, the newest on top, a unit for each minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from hvac_heartbeat.local.read_model.answers import DeviceHistory

ROW: Final = 16  # pixels from one day to the next
_MINUTES: Final = 1440
_LEAST: Final = 6  # minutes that a block is wide at least, so that it can be seen on a phone
_DAY: Final = timedelta(days=1)
# How far a kind of block stays away from its row's edges: what lies on top lets show what is below.
_INSETS: Final = {"days": 1, "maintenance": 1, "deaf": 1, "excused": 4, "counts": 4}


class Timeline(NamedTuple):
    """What the picture shows: the days' names, and for each kind of block the data of one SVG path."""

    days: list[datetime]
    height: int
    paths: dict[str, str]


def timeline(device: DeviceHistory) -> Timeline:
    """Draw silences that count, those that do not, maintenance, and when we were deaf."""
    today = device.until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = device.since.astimezone(UTC).date()
    days = [today - _DAY * back for back in range((today.date() - first).days + 1)]
    kinds: dict[str, list[tuple[datetime, datetime | None]]] = {
        "days": [(device.since, device.until)],
        "maintenance": [(window.starts_at, window.ends_at) for window in device.maintenance],
        "deaf": [(window.starts_at, window.ends_at) for window in device.deaf],
        "excused": [(silence.silent_from, silence.silent_to) for silence in device.silences if not silence.counts],
        "counts": [(silence.silent_from, silence.silent_to) for silence in device.silences if silence.counts],
    }
    paths = {
        kind: "".join(_blocks(times, device.since, device.until, today, _INSETS[kind])) for kind, times in kinds.items()
    }
    return Timeline(days, len(days) * ROW, {kind: path for kind, path in paths.items() if path})


def _blocks(
    times: Iterable[tuple[datetime, datetime | None]], since: datetime, until: datetime, today: datetime, inset: int
) -> Iterator[str]:
    """Cut each time where days end, and draw its parts; what has no end goes on."""
    for starts_at, ends_at in times:
        start, end = max(starts_at, since), min(ends_at or until, until)
        while start < end:
            row = -((start - today) // _DAY)
            midnight = today - _DAY * row
            left = (start - midnight) // timedelta(minutes=1)
            right = min(-((midnight - end) // timedelta(minutes=1)), _MINUTES)
            width = max(right - left, _LEAST)
            yield f"M{min(left, _MINUTES - width)} {row * ROW + inset}h{width}v{ROW - 2 * inset}h-{width}z"
            start = midnight + _DAY
