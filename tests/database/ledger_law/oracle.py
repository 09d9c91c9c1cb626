"""What the ledger must hold, said in another way than the ledger says it.

By the definition of TimescaleDB Toolkit's heartbeat_agg: each heartbeat makes its device live for the liveness
duration from then on; `dead_ranges` are the rest, between the first heartbeat and the last. A silence is a dead range
with the live one that it ends: it begins with a heartbeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.database.ledger_law.histories import Heard, History

LIVENESS = timedelta(seconds=120)
Range: TypeAlias = tuple[datetime, datetime]


def dead_ranges(heartbeats: Iterable[datetime]) -> list[Range]:
    """Return the times between the first and the last heartbeat that no live range covers."""
    # +1 where a live range begins and -1 where it ends, as brackets are counted; of equal times the beginning first.
    edges = sorted((at, -change) for beat in heartbeats for at, change in ((beat, 1), (beat + LIVENESS, -1)))
    found: list[Range] = []
    depth = 0
    for index, (at, change) in enumerate(edges):
        depth -= change
        if depth == 0 and index + 1 < len(edges):
            found.append((at, edges[index + 1][0]))
    return found


def counted(history: History, now: datetime) -> list[tuple[datetime, str]]:
    """Return time and site of what is evidence; a heartbeat without a time came at `now`.

    Of a device that had a row before there was a ledger, what is older than that row is none.
    """
    every = [_placed(heartbeat, now) for heartbeat in history.heard]
    if history.before is None:
        return every
    start = _placed(history.before, now)
    return [start, *(one for one in every if one[0] >= start[0])]


def silences(history: History, now: datetime) -> list[tuple[datetime, datetime, set[str]]]:
    """Return begin and end of each silence, and the sites it may be at: those of the heartbeats it began with."""
    evidence = counted(history, now)
    return [
        (begin - LIVENESS, end, {site for at, site in evidence if at == begin - LIVENESS})
        for begin, end in dead_ranges(at for at, _ in evidence)
    ]


def _placed(heartbeat: Heard, now: datetime) -> tuple[datetime, str]:
    return heartbeat.seen_at or now, heartbeat.site
