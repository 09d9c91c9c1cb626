"""The fleet for somebody to watch: the same devices and rhythms, and what goes wrong happens within minutes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND, Incidents
from hvac_heartbeat.local.fleet.stream import Fleet, Heartbeat, Stretch, up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

PERIOD: Final = 60 * SECOND
SHORTEST: Final = 7 * MINUTE  # of a run in which something goes silent: it has to be seen healthy, dark, and back
# Nobody is told of a device before three of its heartbeats are proven, which takes more than 120 seconds between its
# first and its last one.
_QUIET: Final = 190 * SECOND
_DARK: Final = 3 * MINUTE  # told of after 180 seconds of silence, which begins up to a minute before
_BACK: Final = 20 * SECOND  # in which the devices of a site come back, one after another
_NEXT: Final = 150 * SECOND
_ROLL_CALL: Final = 3 * SECOND
_MOST_DEATHS: Final = 5
_STUCK_SHARE: Final = 50  # of so many devices one cannot upload

Kind = Literal["site", "gateway", "device", "uploads"]


@dataclass(frozen=True)
class Incident:
    """These devices of a site fall silent, or cannot upload, from `starts` to `ends`; None: until the run's end."""

    kind: Kind
    site: str
    devices: list[str]
    starts: int
    ends: int | None


@dataclass
class MinutesOfIncidents(Incidents):
    """What goes wrong while somebody looks on. `stuck` says since when a device cannot upload."""

    seen: list[Incident] = field(default_factory=list)
    stuck: dict[str, int] = field(default_factory=dict)

    def draw(self, chance: Random) -> None:
        for device in chance.sample(self.devices, len(self.devices) // _STUCK_SHARE):
            self.stuck[device] = -chance.randint(10, 300) * MINUTE
        if self.length < SHORTEST:
            return
        sites = chance.sample(list(self.sites), len(self.sites))
        first = _QUIET + chance.randrange(15 * SECOND)
        for number, starts in enumerate(range(first, self.length - _DARK - _BACK, _NEXT)):
            self._go_silent(sites[number % len(sites)], starts, "gateway" if number % 2 else "site", chance)
        self._cannot_upload(sites[-1], chance.randrange(60 * SECOND, 90 * SECOND), chance)
        for device in chance.sample(self.devices, min(_MOST_DEATHS, -(-len(self.devices) // 100))):
            self._die(device, chance.randrange(_QUIET, self.length - 2 * MINUTE))
        self.seen.sort(key=attrgetter("starts"))

    def _go_silent(self, site: str, starts: int, kind: Kind, chance: Random) -> None:
        devices = self.sites[site]
        if kind == "gateway":
            devices = sorted(chance.sample(devices, -(-len(devices) // 2)))
        for device in devices:
            self.down[device].append((starts, starts + _DARK))
        self.seen.append(Incident(kind, site, devices, starts, starts + _DARK))

    def _cannot_upload(self, site: str, starts: int, chance: Random) -> None:
        devices = sorted(chance.sample(self.sites[site], min(3, len(self.sites[site]))))
        self.stuck.update(dict.fromkeys(devices, starts))
        self.seen.append(Incident("uploads", site, devices, starts, None))

    def _die(self, device: str, starts: int) -> None:
        self.down[device].append((starts, self.length + PERIOD))
        self.seen.append(Incident("device", device.partition("/")[0], [device], starts, None))


class LiveFleet(Fleet):
    """A fleet whose devices beat once a minute. How the heartbeats arrive is left to what really carries them."""

    grains: ClassVar[tuple[int, ...]] = (1,)
    periods: ClassVar[tuple[int, ...]] = (PERIOD // SECOND,)
    site_name: ClassVar[str] = "building"
    what_goes_wrong: ClassVar[type[Incidents]] = MinutesOfIncidents
    incidents: MinutesOfIncidents

    def _stretches(self, device: str) -> Iterator[Stretch]:
        """Have a device report as it starts, and from then on in a rhythm of its own."""
        site = device.partition("/")[0]
        for since, until in up(self.incidents.down[device], self.length):
            first = since + self._chance.randrange(_BACK if since else _ROLL_CALL)
            rhythm = first + self._chance.randrange(PERIOD)
            if first < until:
                yield Stretch(device, site, "http", first, PERIOD, [0], 1)
            if rhythm < until:
                yield self._stretch(device, site, rhythm, until)

    def beats(self) -> Iterator[Heartbeat]:
        """Return every heartbeat in order of time."""
        rhythms = (_rhythm(stretch) for stretches in self.stretches.values() for stretch in stretches)
        return heapq.merge(*rhythms, key=attrgetter("received_at"))


def _rhythm(stretch: Stretch) -> Iterator[Heartbeat]:
    return (Heartbeat(stretch.device, stretch.site, stretch.received(number)) for number in range(stretch.beats))
