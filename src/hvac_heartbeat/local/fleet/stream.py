"""The fleet's heartbeats: when each device beats, when a beat reaches the function, and all of it in order of time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeAlias

from hvac_heartbeat.local.fleet.incidents import HOUR, SECOND, Announcement, Incidents, happens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hvac_heartbeat.local.fleet.incidents import Path, Span

MONTH: Final = 26 * HOUR  # a month's incidents; a little more than a day, because some rules speak of 24 hours
BATCH_WINDOW: Final = 10 * SECOND  # a queue's messages are collected for so long before the function is called
_PERIODS: Final = (60, 60, 60, 90, 90, 100, 100, 110, 110, 120)
_JITTERS: Final = 61
_LATE: Final = 40  # heartbeats in a month, about
_DUPLICATED: Final = 40


class Heartbeat(NamedTuple):
    """A device's beat; `received_at` is when it arrived, which may be long before it is written."""

    device: str
    site: str
    received_at: int


@dataclass(frozen=True)
class Delivery:
    """The function is called at `at` with these heartbeats."""

    at: int
    heartbeats: list[Heartbeat]


Event: TypeAlias = Delivery | Announcement


@dataclass
class Stretch:
    """A time in which a device is up: it beats in a rhythm of its own, a little late each time."""

    device: str
    site: str
    path: Path
    starts: int
    period: int
    jitter: list[int]
    beats: int

    def received(self, number: int) -> int:
        """Return when beat `number` arrives."""
        return self.starts + number * self.period + self.jitter[number % len(self.jitter)]

    def written(self, number: int) -> int:
        """Return when beat `number` is written where nothing is in the way."""
        received = self.received(number)
        return _end_of_window(received) if self.path == "queue" else received

    def around(self, starts: int, ends: int) -> range:
        """Return the beats from one before a time to one after it."""
        first, last = ((at - self.starts) // self.period for at in (starts, ends))
        return range(max(0, first - 1), min(self.beats, last + 2))


@dataclass
class Steady:
    """Beats `first` to `last` of a stretch, all of them written on time."""

    stretch: Stretch
    first: int
    last: int

    def newest(self, at: int) -> tuple[int, int] | None:
        """Return when the newest of these beats that has been written at `at` was received, and written."""
        stretch = self.stretch
        number = min((at - stretch.starts) // stretch.period, self.last)
        while number >= self.first:
            received = stretch.received(number)
            written = _end_of_window(received) if stretch.path == "queue" else received
            if written <= at:
                return received, written
            number -= 1
        return None


class Fleet:
    """A fleet made up from a seed, with a month's incidents in `length`.

    `events` is what happens, in order. It leaves out the heartbeats of devices that are steadily alive, which are most:
    `steady` has those, so that a test need not write each of them. `every_event` is the whole stream.
    """

    # Coarse times in most fleets, so that many are exactly at a limit.
    grains: ClassVar[tuple[int, ...]] = (1, SECOND, SECOND, 10 * SECOND)
    periods: ClassVar[tuple[int, ...]] = _PERIODS
    site_name: ClassVar[str] = "site"
    what_goes_wrong: ClassVar[type[Incidents]] = Incidents

    def __init__(self, seed: int, *, devices: int = 300, sites: int = 20, length: int = MONTH) -> None:
        self._chance = Random(seed)  # noqa: S311 - the same fleet again
        self.grain = self._chance.choice(self.grains)
        self.length = length
        self.sites: dict[str, list[str]] = {f"{self.site_name}-{number:02}": [] for number in range(sites)}
        names = list(self.sites)
        for number in range(devices):
            site = names[number] if number < sites else self._chance.choice(names)
            self.sites[site].append(f"{site}/{number:03}")
        self._paths: dict[str, Path] = {site: "queue" if happens(self._chance, 0.7) else "http" for site in self.sites}
        self.incidents = self.what_goes_wrong(self.sites, length)
        self.incidents.draw(self._chance)
        self.stretches: dict[str, list[Stretch]] = {}
        self.steady: list[Steady] = []
        self._deliveries: dict[tuple[int, Path], list[Heartbeat]] = {}
        for device in self.incidents.devices:
            self.stretches[device] = list(self._stretches(device))
            self._deliver(self.stretches[device])
        deliveries = [Delivery(at, found) for (at, _), found in self._deliveries.items()]
        self.events: list[Event] = sorted([*deliveries, *self.incidents.announcements], key=attrgetter("at"))

    def every_event(self) -> Iterator[Event]:
        """Return what happens, the heartbeats of the steady devices among it."""
        return heapq.merge(self.events, *map(_plain, self.steady), key=attrgetter("at"))

    def _rounded(self, at: int) -> int:
        return at // self.grain * self.grain

    def _stretches(self, device: str) -> Iterator[Stretch]:
        home = device.partition("/")[0]
        moves_at, other = self.incidents.moves.get(device, (self.length, home))
        for starts, ends in up(self.incidents.down[device], self.length):
            for site, since, until in ((home, starts, min(ends, moves_at)), (other, max(starts, moves_at), ends)):
                first = self._rounded(since + self._chance.randrange(20 * SECOND)) + self.grain
                if first < until:
                    yield self._stretch(device, site, first, until)

    def _stretch(self, device: str, site: str, first: int, until: int) -> Stretch:
        period = self._chance.choice(self.periods) * SECOND
        most = min(10 * SECOND, 120 * SECOND - period)  # the ledger takes no note of gaps up to 120 seconds
        jitter = [self._rounded(self._chance.randrange(most)) if most else 0 for _ in range(_JITTERS)]
        return Stretch(device, site, self._paths[site], first, period, jitter, (until - first - 1) // period + 1)

    def _deliver(self, stretches: Iterable[Stretch]) -> None:
        """Put every beat that is not plain into the deliveries, and the runs of plain ones into `steady`."""
        for stretch in stretches:
            fates = self._fates(stretch)
            for number, times in fates.items():
                beat = Heartbeat(stretch.device, stretch.site, stretch.received(number))
                for at in times:
                    self._deliveries.setdefault((at, stretch.path), []).append(beat)
            runs = pairwise(sorted(fates))
            self.steady += [Steady(stretch, before + 1, after - 1) for before, after in runs if after - before > 1]

    def _fates(self, stretch: Stretch) -> dict[int, list[int]]:
        """Return when each beat is written that is not plain: on time, late, twice or never; and those around it."""
        wanted = {number: [stretch.written(number)] for number in (0, min(1, stretch.beats - 1), stretch.beats - 1)}
        for number in self._some(stretch, _LATE if stretch.path == "queue" else 0):
            delay = self._chance.choice((self._chance.randint(20, 200), self._chance.randint(60, 2400))) * SECOND
            written = self._when_possible(stretch.path, _end_of_window(stretch.received(number) + delay))
            around = stretch.around(stretch.received(number), written or 0)
            wanted |= {other: [stretch.written(other)] for other in around if other not in wanted}
            wanted[number] = [written] if written else []
        for number in self._some(stretch, _DUPLICATED):
            again = stretch.written(number) + self._chance.randint(0, 30) * BATCH_WINDOW
            wanted.setdefault(number, [stretch.written(number)]).append(again)
        for outage in self.incidents.outages:
            around = stretch.around(outage.starts, outage.drained)
            wanted |= {number: [stretch.written(number)] for number in around if number not in wanted}
        return {
            number: [at for at in (self._when_possible(stretch.path, at) for at in times) if at is not None]
            for number, times in wanted.items()
        }

    def _some(self, stretch: Stretch, count: int) -> list[int]:
        """Draw some beats of a stretch, `count` in all of the fleet's."""
        expected = count * stretch.beats * stretch.period / (len(self.incidents.devices) * self.length)
        many = int(expected) + (self._chance.random() < expected % 1)
        return [self._chance.randrange(stretch.beats) for _ in range(many)]

    def _when_possible(self, path: Path, at: int) -> int | None:
        """Return when what would be written at `at` is written, where we have an outage then; None: never."""
        for outage in self.incidents.outages:
            if path in outage.paths and outage.starts <= at < outage.drained:
                if at < outage.ends and (path == "http" or outage.kind == "network"):
                    return None
                is_through = at >= outage.ends and (path == "http" or happens(self._chance, 0.5))
                since = max(at, outage.ends)
                late = self._rounded(self._chance.randint(since, outage.drained))
                return at if is_through else _end_of_window(max(since, late))
        return at


def _end_of_window(at: int) -> int:
    return -(-at // BATCH_WINDOW) * BATCH_WINDOW


def _plain(run: Steady) -> Iterator[Delivery]:
    stretch = run.stretch
    for number in range(run.first, run.last + 1):
        beat = Heartbeat(stretch.device, stretch.site, stretch.received(number))
        yield Delivery(stretch.written(number), [beat])


def up(down: Iterable[Span], length: int) -> Iterator[Span]:
    """Return the times between those in which a device was down, where they are worth a heartbeat."""
    since = 0
    for starts, ends in sorted(down):
        if starts > since:
            yield since, starts
        since = max(since, ends)
    if since < length:
        yield since, length
