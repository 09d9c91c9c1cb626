"""What the answers ought to be, worked out another way, without ranges.

All bounds that occur cut time into pieces in which nothing changes, and each piece is asked what it is.
Times are integers, microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

SECOND = 1_000_000
FLOOR = 120 * SECOND


@dataclass(frozen=True)
class Interval:
    """From a time on until another, or for ever."""

    starts: int
    ends: int | None

    def covers(self, time: int) -> bool:
        return self.starts <= time and (self.ends is None or time < self.ends)


@dataclass(frozen=True)
class Window(Interval):
    """Maintenance of a device or a site."""

    scope: str
    subject: str


@dataclass
class World:
    """A fleet's history: its devices' heartbeats in order, with the site of each, and the rules."""

    heartbeats: dict[str, list[tuple[int, str]]]
    policies: dict[tuple[str, str], int]
    windows: list[Window]
    deaf: list[Interval]
    ledger_start: int
    now: int
    bounds: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.cut()

    def cut(self, *more: int | None) -> None:
        """Find all bounds, and `more`."""
        times = {time for beats in self.heartbeats.values() for time, _ in beats} | {self.now, self.ledger_start}
        for interval in [*self.windows, *self.deaf]:
            times |= {interval.starts} | ({interval.ends} if interval.ends is not None else set())
        self.bounds = sorted(times | {bound for bound in more if bound is not None})

    def pieces(self, starts: int, ends: int) -> list[tuple[int, int]]:
        """Return the pieces from one bound to another, in order."""
        return list(pairwise(bound for bound in self.bounds if starts <= bound <= ends))

    def stale_after(self, device: str) -> int:
        site = self.heartbeats[device][-1][1]
        for key in (("device", device), ("site", site), ("fleet", "")):
            if key in self.policies:
                return self.policies[key]
        return FLOOR

    def is_deaf(self, time: int) -> bool:
        return any(interval.covers(time) for interval in self.deaf)

    def is_maintained(self, device: str, time: int) -> bool:
        mine = {("device", device), ("site", self.heartbeats[device][-1][1])}
        return any(window.covers(time) for window in self.windows if (window.scope, window.subject) in mine)

    def gaps(self, device: str) -> list[tuple[int, int | None]]:
        """Return the silences over the floor, the last one perhaps without an end."""
        times = [time for time, _ in self.heartbeats[device]]
        ended: list[tuple[int, int | None]] = [(a, b) for a, b in pairwise(times) if b - a > FLOOR]
        return ended + ([(times[-1], None)] if self.now - times[-1] > FLOOR else [])

    def counts(self, device: str, starts: int, ends: int) -> bool:
        """Whether there was a time longer than the rule in which we could hear without a break."""
        longest = run = 0
        for a, b in self.pieces(starts, ends):
            run = 0 if self.is_deaf(a) else run + b - a
            longest = max(longest, run)
        return longest > self.stale_after(device)

    def liveness(self, device: str) -> str:
        last = self.heartbeats[device][-1][0]
        if self.now - last <= self.stale_after(device):
            return "online"
        return "stale" if self.counts(device, last, self.now) else "unknown"


@dataclass(frozen=True)
class Report:
    """A device's figures, or a site's; the mean is a fraction of a microsecond."""

    observed: int
    silences: tuple[int, ...]

    @property
    def silent(self) -> int:
        return sum(self.silences)

    @property
    def availability(self) -> Fraction | None:
        return 1 - Fraction(self.silent, self.observed) if self.observed else None

    @property
    def mean_time_to_return(self) -> Fraction | None:
        return Fraction(self.silent, len(self.silences)) if self.silences else None

    def __add__(self, other: Report) -> Report:
        return Report(self.observed + other.observed, self.silences + other.silences)


def report(world: World, device: str, since: int | None, until: int | None) -> Report:
    """Ask each piece of the period whether it was observed, and in which silence it is."""
    world.cut(since, until)
    first = world.heartbeats[device][0][0]
    starts = max(first, world.ledger_start, since if since is not None else first)
    ends = min(world.now, until if until is not None else world.now)
    observed = [
        (a, b) for a, b in world.pieces(starts, ends) if not world.is_maintained(device, a) and not world.is_deaf(a)
    ]
    lengths = []
    for silent_from, silent_to in world.gaps(device):
        end = world.now if silent_to is None else silent_to
        within = sum(b - a for a, b in observed if silent_from <= a and b <= end)
        if within and world.counts(device, silent_from, end):
            lengths.append(within)
    return Report(sum(b - a for a, b in observed), tuple(lengths))
