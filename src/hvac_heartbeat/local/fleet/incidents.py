"""What goes wrong in a fleet, and what people do about it: a month's worth of it, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from random import Random

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
Span: TypeAlias = tuple[int, int]
Path: TypeAlias = Literal["queue", "http"]
Scope: TypeAlias = Literal["fleet", "site", "device"]
Kind: TypeAlias = Literal["database", "ingest", "network"]

# How often each of them happens in a month, about.
_DEATHS, _REBOOTS, _SITES_DARK, _GATEWAYS_DOWN, _REGIONS_DOWN, _FLAPPING = 30, 120, 10, 12, 2, 8
_OUR_OUTAGES, _MAINTAINED, _JOINED, _RETIRED, _MOVED, _POLICIES, _SAID_TO_BE_DEAF = 4, 14, 8, 5, 4, 3, 1


def happens(chance: Random, share: float) -> bool:
    """Say whether something happens that does in this share of the cases."""
    return chance.random() < share


@dataclass(frozen=True)
class Outage:
    """Ours: what arrives by `paths` is not written from `starts` to `ends`; what was queued drains until `drained`.

    `network`: nothing arrives at all, so that nothing is queued. `database`: nobody can ask the database either.
    """

    starts: int
    ends: int
    drained: int
    kind: Kind
    paths: frozenset[Path]


@dataclass(frozen=True)
class Maintenance:
    """Somebody announces maintenance, at `at`; without an end it goes on."""

    at: int
    scope: Literal["site", "device"]
    subject: str
    starts: int
    ends: int | None


@dataclass(frozen=True)
class Policy:
    """Somebody sets how long devices may be silent; None takes the rule back."""

    at: int
    scope: Scope
    subject: str
    stale_after: int | None


@dataclass(frozen=True)
class Retired:
    """Somebody deletes a device that was taken out."""

    at: int
    device: str


@dataclass(frozen=True)
class Deaf:
    """Somebody says from when to when we could hear nobody."""

    at: int
    starts: int
    ends: int


Announcement: TypeAlias = Maintenance | Policy | Retired | Deaf


@dataclass
class Incidents:
    """Everything that happens to a fleet of these sites (their devices by name) within `length`."""

    sites: dict[str, list[str]]
    length: int
    down: dict[str, list[Span]] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    moves: dict[str, tuple[int, str]] = field(default_factory=dict)
    marked: list[int] = field(default_factory=list)  # when something began that is worth looking at

    def __post_init__(self) -> None:
        self.devices = [device for devices in self.sites.values() for device in devices]
        self.down = {device: [] for device in self.devices}

    def draw(self, chance: Random) -> None:
        """Make all of it up."""
        for draw, count in (
            (self._death, _DEATHS),
            (self._reboot, _REBOOTS),
            (self._site_dark, _SITES_DARK),
            (self._gateway_down, _GATEWAYS_DOWN),
            (self._region_down, _REGIONS_DOWN),
            (self._flapping, _FLAPPING),
            (self._our_outage, _OUR_OUTAGES),
            (self._in_maintenance, _MAINTAINED),
            (self._joined, _JOINED),
            (self._retire, _RETIRED),
            (self._moved, _MOVED),
            (self._policy, _POLICIES),
            (self._said_to_be_deaf, _SAID_TO_BE_DEAF),
        ):
            for _ in range(chance.randint(count // 2, count + count // 2)):
                draw(chance)
        self.outages.sort(key=lambda outage: outage.starts)

    def _some_time(self, chance: Random) -> int:
        return chance.randrange(10 * MINUTE, self.length - 10 * MINUTE)

    def _death(self, chance: Random) -> None:
        starts = self._some_time(chance)
        lasts = chance.choice((chance.randint(5, 60) * MINUTE, chance.randint(1, 12) * HOUR, self.length))
        self.down[chance.choice(self.devices)].append((starts, starts + lasts))

    def _reboot(self, chance: Random) -> None:
        starts = self._some_time(chance)
        self.down[chance.choice(self.devices)].append((starts, starts + chance.randint(20, 400) * SECOND))

    def _site_dark(self, chance: Random, starts: int | None = None, lasts: int | None = None) -> None:
        starts = self._some_time(chance) if starts is None else starts
        lasts = chance.choice((chance.randint(2, 12), chance.randint(10, 180))) * MINUTE if lasts is None else lasts
        self._take_down(self.sites[chance.choice(list(self.sites))], starts, lasts, chance)

    def _take_down(self, devices: list[str], starts: int, lasts: int, chance: Random) -> None:
        self.marked.append(starts)
        for device in devices:  # they come back one after another
            self.down[device].append((starts, starts + lasts + chance.randrange(90 * SECOND)))

    def _gateway_down(self, chance: Random) -> None:
        behind = [device for device in self.sites[chance.choice(list(self.sites))] if happens(chance, 0.5)]
        self._take_down(behind, self._some_time(chance), chance.randint(2, 90) * MINUTE, chance)

    def _region_down(self, chance: Random) -> None:
        starts, lasts = self._some_time(chance), chance.randint(4, 40) * MINUTE
        share = chance.choice((0.3, 0.5, 0.8, 0.9, 0.95))
        for site in chance.sample(list(self.sites), max(1, round(share * len(self.sites)))):
            delay = chance.randrange(3 * MINUTE)
            self._take_down(self.sites[site], starts + delay, lasts, chance)

    def _flapping(self, chance: Random) -> None:
        device, at = chance.choice(self.devices), self._some_time(chance)
        self.marked.append(at)
        until = at + chance.randint(20, 100) * MINUTE
        while at < until:
            lasts = chance.randint(100, 500) * SECOND
            self.down[device].append((at, at + lasts))
            at += lasts + chance.randint(30, 400) * SECOND
        if happens(chance, 0.5):
            self.down[device].append((at, at + chance.randint(10, 90) * MINUTE))

    def _our_outage(self, chance: Random) -> None:
        starts = self._some_time(chance)
        ends = starts + chance.choice((chance.randint(1, 8), chance.randint(8, 40))) * MINUTE
        if any(outage.starts - 30 * MINUTE < ends and starts < outage.drained + 30 * MINUTE for outage in self.outages):
            return
        self.marked.append(starts)
        kind: Kind = chance.choice(("database", "ingest", "ingest", "network"))
        paths: frozenset[Path] = frozenset(("queue", "http"))
        if kind == "ingest" and happens(chance, 0.3):
            paths = frozenset((chance.choice(("queue", "http")),))
        self.outages.append(Outage(starts, ends, ends + chance.randint(10, 480) * SECOND, kind, paths))

    def _in_maintenance(self, chance: Random) -> None:
        at = self._some_time(chance)
        starts = at + chance.choice((-20 * MINUTE, 0, 0, 30 * MINUTE))
        ends = starts + chance.randint(25, 180) * MINUTE if happens(chance, 0.9) else None
        if happens(chance, 0.5):
            site = chance.choice(list(self.sites))
            self.announcements.append(Maintenance(at, "site", site, starts, ends))
            if happens(chance, 0.7):
                work = chance.randint(5, 200) * MINUTE
                self._take_down(self.sites[site], starts + chance.randrange(10 * MINUTE), work, chance)
            return
        device = chance.choice(self.devices)
        self.announcements.append(Maintenance(at, "device", device, starts, ends))
        if happens(chance, 0.7):
            self._take_down([device], starts, chance.randint(5, 200) * MINUTE, chance)

    def _joined(self, chance: Random) -> None:
        device, joins = chance.choice(self.devices), self._some_time(chance)
        self.down[device].append((0, joins))
        if happens(chance, 0.5):  # on trial: two or three heartbeats, then silence for a while
            trial = chance.randint(30, 300) * SECOND
            self.down[device].append((joins + trial, joins + trial + chance.randint(5, 100) * MINUTE))

    def _retire(self, chance: Random) -> None:
        device, leaves = chance.choice(self.devices), self._some_time(chance)
        self.down[device].append((leaves, self.length + HOUR))
        # Only when nothing of it can still be on its way.
        self.announcements.append(Retired(leaves + chance.randint(150, 300) * MINUTE, device))

    def _moved(self, chance: Random) -> None:
        self.moves[chance.choice(self.devices)] = (self._some_time(chance), chance.choice(list(self.sites)))

    def _policy(self, chance: Random) -> None:
        at = self._some_time(chance)
        scope: Scope = chance.choice(("site", "device", "device", "fleet"))
        subject = {"site": chance.choice(list(self.sites)), "device": chance.choice(self.devices), "fleet": ""}[scope]
        self.announcements.append(Policy(at, scope, subject, chance.choice((120, 180, 300, 600)) * SECOND))
        if happens(chance, 0.5):
            self.announcements.append(Policy(at + chance.randint(10, 300) * MINUTE, scope, subject, None))

    def _said_to_be_deaf(self, chance: Random) -> None:
        at = self._some_time(chance)
        starts = at - chance.randint(-10, 60) * MINUTE
        self.announcements.append(Deaf(at, starts, starts + chance.randint(2, 70) * MINUTE))
