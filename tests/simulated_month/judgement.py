"""Who is stale, due and out at the time of a sweep, and whether the whole fleet is silent: by the rules, not by SQL."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hvac_heartbeat.local.fleet.incidents import HOUR, MINUTE
from tests.simulated_month.facts import NEVER, Device, Facts, MaintenanceNow

if TYPE_CHECKING:
    from hvac_heartbeat.local.fleet.incidents import Span


@dataclass
class FleetSilence:
    """A time in which almost nobody was heard."""

    silent_from: int
    opened_at: int
    ended_at: int | None = None
    evidence: str | None = None
    is_deaf: bool = False
    told_began: bool = False
    told_ended: bool = False


@dataclass(slots=True)
class View:
    """How a counted device looks at the time of a sweep."""

    device: Device
    stale_after: int
    quiet_from: int
    is_stale: bool
    is_overdue: bool  # by its own time
    is_due: bool
    out_from: int | None


@dataclass
class Judgement:
    """What can be said of the fleet at a time."""

    facts: Facts = field(default_factory=Facts)
    fleet_silences: list[FleetSilence] = field(default_factory=list)
    deaf: list[Span] = field(default_factory=list)
    now: int = 0
    is_hushed: bool = False  # nobody at all was heard for a minute

    def turn_to(self, now: int) -> None:
        """Look at the fleet at a later time."""
        self.now = now
        self.maintenance = MaintenanceNow(now, self.facts.windows)

    @property
    def is_fleet_silent(self) -> bool:
        """Whether almost nobody is heard."""
        return any(silence.ended_at is None for silence in self.fleet_silences)

    def _behind(self, views: list[View]) -> int | None:
        """Return how late the heartbeats are that are being written, where a queue is being drained."""
        delays = [
            view.device.written - view.device.last_seen for view in views if view.device.written > self.now - MINUTE
        ]
        late = [delay for delay in delays if MINUTE < delay < 24 * HOUR]
        return max(late) if len(late) >= max(3, len(delays) / 100) else None

    def _heard_from(self) -> int:
        """Return the end of the last time in which we could hear nobody."""
        ends = [min(end, self.now) for starts, end in self.deaf if starts <= self.now]
        ends += [silence.ended_at for silence in self.fleet_silences if silence.ended_at is not None]
        return max(ends, default=NEVER)

    def grace_for(self, device: Device) -> int:
        """Return from when on its silence counts."""
        return max(self._heard_from(), self.maintenance.ended_for(device))

    def views(self) -> list[View]:
        """Return how every counted device looks."""
        heard_from = self._heard_from()
        counted = [device for device in self.facts.devices.values() if not self.maintenance.covers(device)]
        proof = self._almost_all_heard(counted)
        self.is_hushed = proof < self.now - MINUTE
        return [self._view(device, max(heard_from, self.maintenance.ended_for(device)), proof) for device in counted]

    def _almost_all_heard(self, counted: list[Device]) -> int:
        """Return since when nine of ten sites were heard, or all but two, of those heard within half an hour."""
        sites: dict[str, int] = {}
        for device in counted:
            sites[device.site] = max(device.last_seen, sites.get(device.site, NEVER))
        lately = sorted(at for at in sites.values() if at > self.now - 30 * MINUTE)
        return lately[_many(len(lately)) - 1] if len(lately) >= 3 else max(sites.values(), default=NEVER)

    def _view(self, device: Device, heard_from: int, newest: int) -> View:
        limit = self.facts.stale_after(device)
        quiet_from = max(device.last_seen, heard_from)
        silent_for = self.now - quiet_from
        out_from = None
        if silent_for > limit:
            out_from = device.last_seen
        elif len(device.lives) > 1 and device.lives[-1].first > self.now - 3 * MINUTE:
            last = device.lives[-2].last
            if device.lives[-1].first - max(last, heard_from) > limit:
                out_from = last
        is_proven = newest - quiet_from > limit or self.now - newest > limit
        is_overdue = 2 * silent_for > 3 * limit
        return View(device, limit, quiet_from, silent_for > limit, is_overdue, is_overdue and is_proven, out_from)

    def note_fleet_silence(
        self, views: list[View], unreachable: Span | None, canary: str | None, *, is_any_overdue: bool
    ) -> bool:
        """Begin and end the silence of the fleet, look for evidence that it was us, and say if anything changed."""
        newest = max((view.device.last_seen for view in views), default=0)
        awaited = [view for view in views if view.device.last_seen > newest - 24 * HOUR]
        sites: dict[str, list[View]] = defaultdict(list)
        for view in awaited:
            sites[view.device.site].append(view)
        behind = self._behind(views)
        all_stale = _almost_all(sites, {id(view) for view in awaited if view.is_stale})
        together = _fell_together(views, self.now) if is_any_overdue else None
        is_silent = (all_stale and len(sites) >= 3) or behind is not None or together is not None
        all_out = _almost_all(sites, {id(view) for view in awaited if view.out_from is not None})
        lasting = next((silence for silence in self.fleet_silences if silence.ended_at is None), None)
        deaf = len(self.deaf)
        if lasting is None and (is_silent or (all_out and (len(sites) >= 3 or unreachable))):
            out = [view.out_from for view in awaited if view.out_from is not None]
            since = max(out) if all_out else together if together is not None else self.now - (behind or 0)
            lasting = FleetSilence(since, self.now)
            self.fleet_silences.append(lasting)
        for silence in self.fleet_silences:
            if silence.evidence is None and (silence.ended_at is None or silence.ended_at > self.now - HOUR):
                silence.evidence = self._evidence(silence, unreachable, canary)
        if lasting and not is_silent:
            lasting.ended_at = self.now
        for silence in self.fleet_silences:
            if silence.ended_at is not None and silence.evidence and not silence.is_deaf:
                silence.is_deaf = True
                self.deaf.append((silence.silent_from, silence.ended_at))
        return lasting is not None or len(self.deaf) > deaf

    def _evidence(self, silence: FleetSilence, unreachable: Span | None, canary: str | None) -> str | None:
        until = self.now if silence.ended_at is None else silence.ended_at
        if unreachable and unreachable[0] <= until and unreachable[1] >= silence.silent_from:
            return "the database could not be reached"
        if silence.ended_at is None and canary in self.facts.devices:
            for view in self.views():
                if view.device.name == canary and view.out_from is not None:
                    return "the canary was not heard"
        delays = [
            device.written - device.last_seen
            for device in self.facts.devices.values()
            if silence.silent_from <= device.last_seen <= until
        ]
        late = sum(delay > MINUTE for delay in delays)
        return "heartbeats were written late" if late >= max(3, len(delays) / 100) else None


def _many(sites: int) -> int:
    """Return how many sites are a tenth of all, or three."""
    return max(3, -(-sites // 10))


def _fell_together(views: list[View], now: int) -> int | None:
    """Return when many sites fell silent within two minutes, if they did within half an hour: the last of them."""
    sites: dict[str, list[View]] = defaultdict(list)
    for view in views:
        sites[view.device.site].append(view)
    heard = {site: max(view.device.last_seen for view in found) for site, found in sites.items()}
    lately = {site for site, at in heard.items() if at > now - 30 * MINUTE}
    dark = sorted(heard[site] for site in lately if all(view.is_stale for view in sites[site]))
    many = _many(len(lately))
    found = [last for first, last in zip(dark, dark[many - 1 :], strict=False) if last - first <= 2 * MINUTE]
    return max(found, default=None)


def _almost_all(sites: dict[str, list[View]], those: set[int]) -> bool:
    """Say whether nine of ten devices are among those, and of nine of ten sites all."""
    total = sum(map(len, sites.values()))
    dark = sum(all(id(view) in those for view in views) for views in sites.values())
    return total > 0 and 10 * len(those) >= 9 * total and 10 * dark >= 9 * len(sites)
