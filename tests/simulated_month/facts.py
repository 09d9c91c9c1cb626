"""What an oracle knows of a fleet: who was heard when, and which rules and maintenance were announced. No SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from hvac_heartbeat.local.fleet import Maintenance, Policy, Retired
from hvac_heartbeat.local.fleet.incidents import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hvac_heartbeat.local.fleet import Announcement, Heartbeat

FLOOR = 120 * SECOND
NEVER = -(1 << 62)


@dataclass(slots=True)
class Life:
    """Heartbeats of which no two neighbours are more than two minutes apart; `site` is where the last one came from."""

    first: int
    last: int
    site: str


@dataclass(slots=True)
class Gap:
    """A silence that is over: between one life and the next."""

    starts: int
    ends: int
    site: str


@dataclass(slots=True)
class Device:
    """All that was heard of a device, in the order of time, whatever order it came in."""

    name: str
    site: str
    last_seen: int
    written: int
    lives: list[Life]
    is_old: bool = False  # it was there before the ledger, so that its first heartbeat is not known

    def gaps(self) -> list[Gap]:
        """Return the silences between its lives."""
        return [Gap(one.last, other.first, one.site) for one, other in pairwise(self.lives)]

    def hear(self, at: int, site: str) -> None:
        """Put a heartbeat into the life that it belongs to, or make it one of its own; lives that touch become one."""
        if self.is_old and at < self.lives[0].first:
            return  # no evidence: from before the ledger
        place = len(self.lives)
        while place and self.lives[place - 1].first > at:
            place -= 1
        before = self.lives[place - 1] if place else None
        after = self.lives[place] if place < len(self.lives) else None
        if before and at <= before.last:
            return
        if before and at - before.last <= FLOOR:
            before.last, before.site = at, site
        else:
            before = Life(at, at, site)
            self.lives.insert(place, before)
            place += 1
        if after and after.first - at <= FLOOR:
            before.last, before.site = after.last, after.site
            del self.lives[place]


@dataclass
class Facts:
    """The fleet as it was heard, and what people said of it."""

    devices: dict[str, Device] = field(default_factory=dict)
    gone: list[Device] = field(default_factory=list)
    windows: list[Maintenance] = field(default_factory=list)
    policies: dict[tuple[str, str], int] = field(default_factory=dict)

    def was_there(self, name: str) -> None:
        """Take a device that was heard before the ledger was made."""
        site = name.partition("/")[0]
        self.devices[name] = Device(name, site, 0, 0, [Life(0, 0, site)], is_old=True)

    def write(self, at: int, heartbeats: Iterable[Heartbeat]) -> None:
        """Take an event of heartbeats as the function writes it at `at`."""
        for name, site, received_at in heartbeats:
            device = self.devices.get(name)
            if device is None:
                self.devices[name] = Device(name, site, received_at, at, [Life(received_at, received_at, site)])
                continue
            device.hear(received_at, site)
            if received_at >= device.last_seen:
                device.site, device.last_seen, device.written = site, received_at, at

    def keep_alive(self, name: str, seen: int, written: int) -> None:
        """Take a device's steady heartbeats up to the one of `seen` at once."""
        device = self.devices[name]
        device.lives[-1].last = device.last_seen = seen
        device.written = written

    def announce(self, what: Announcement) -> None:
        """Take what somebody announces."""
        if isinstance(what, Maintenance):
            self.windows.append(what)
        elif isinstance(what, Retired):
            if what.device in self.devices:
                self.gone.append(self.devices.pop(what.device))
        elif isinstance(what, Policy) and what.stale_after is None:
            self.policies.pop((what.scope, what.subject), None)
        elif isinstance(what, Policy) and what.stale_after is not None:
            self.policies[what.scope, what.subject] = what.stale_after

    def stale_after(self, device: Device) -> int:
        """Return how long the device may be silent."""
        rules = self.policies
        for key in (("device", device.name), ("site", device.site), ("fleet", "")):
            if key in rules:
                return rules[key]
        return FLOOR

    def all_gaps(self) -> Iterator[tuple[str, Gap]]:
        """Return every silence that the ledger must hold."""
        for device in (*self.devices.values(), *self.gone):
            for gap in device.gaps():
                yield device.name, gap


@dataclass
class MaintenanceNow:
    """Who is in maintenance at a time, and until when others were."""

    at: int
    windows: Iterable[Maintenance]
    lasting: set[tuple[str, str]] = field(default_factory=set)
    ended: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for window in self.windows:
            key = (window.scope, window.subject)
            if window.starts > self.at:
                continue
            if window.ends is None or window.ends > self.at:
                self.lasting.add(key)
            else:
                self.ended[key] = max(window.ends, self.ended.get(key, NEVER))

    def covers(self, device: Device) -> bool:
        """Say whether the device or its present site is in maintenance."""
        return ("device", device.name) in self.lasting or ("site", device.site) in self.lasting

    def ended_for(self, device: Device) -> int:
        """Return when the last maintenance of the device or its present site ended."""
        return max(self.ended.get(("device", device.name), NEVER), self.ended.get(("site", device.site), NEVER))
