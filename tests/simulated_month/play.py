"""Plays a fleet's month on a database and to the oracle, sweep by sweep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from hvac_heartbeat.local.fleet import Delivery, Fleet
from hvac_heartbeat.local.fleet.incidents import HOUR, MINUTE, SECOND
from tests.simulated_month.oracle import Oracle
from tests.simulated_month.punctuality import Punctuality

if TYPE_CHECKING:
    from hvac_heartbeat.local.fleet import Heartbeat
    from hvac_heartbeat.local.fleet.incidents import Span
    from hvac_heartbeat.local.fleet.stream import Steady
    from tests.simulated_month.oracle import Swept
    from tests.simulated_month.stage import Stage

Kind: TypeAlias = Literal["plain", "struck", "rolled back", "session ends", "at once", "overtaken"]
_KINDS: tuple[Kind, ...] = ("plain",) * 40 + ("struck",) * 5 + ("rolled back",) * 2 + ("at once",) * 2 + ("overtaken",)


class Look(NamedTuple):
    """A sweep that begins at a time, and what becomes of it."""

    at: int
    kind: Kind


def looks(fleet: Fleet, chance: Random) -> list[Look]:
    """Draw when it is swept: each minute in two hours in which something happens, else now and then."""
    marked = fleet.incidents.marked or [HOUR]
    watched = [max(0, at - chance.randint(2, 30) * MINUTE) for at in chance.sample(marked, min(2, len(marked)))]
    found: list[Look] = []
    at = chance.randint(1, 60) * SECOND
    while at < fleet.length:
        found.append(Look(at // fleet.grain * fleet.grain, chance.choice(_KINDS)))
        if any(since <= at < since + HOUR for since in watched):
            at += MINUTE - chance.choice((0, 0, 1)) * fleet.grain % MINUTE
        else:
            at += SECOND + int(chance.expovariate(1 / (10 * MINUTE)))
    found[chance.randrange(len(found))] = Look(found[chance.randrange(len(found))].at, "session ends")
    return sorted(found)


@dataclass
class Play:
    """One month on a stage, with a second session for those who sweep at the same time."""

    seed: int
    stage: Stage
    other: Stage
    differences: list[str] = field(default_factory=list)
    sweeps: int = 0
    struck: int = 0
    punctuality: Punctuality = field(default_factory=Punctuality)

    def __post_init__(self) -> None:
        is_small = self.seed % 10 == 0  # rules about the whole fleet are others where it has two sites
        self.fleet = Fleet(self.seed, devices=40, sites=2) if is_small else Fleet(self.seed)
        self._chance = Random(self.seed + 1_000_000)  # noqa: S311 - the same sweeps again
        self.oracle = Oracle()
        self.canary = self._chance.choice((None, *self.fleet.incidents.devices[:1]))
        self._runs: dict[str, list[Steady]] = defaultdict(list)
        for run in reversed(self.fleet.steady):
            self._runs[run.stretch.device].append(run)
        self._newest: dict[str, int] = {}  # when the newest steady heartbeat was received that was written
        self._steps: list[list[Any]] = []
        self._failed: list[int] = []  # the sweeps that could not reach the database since the last one that could

    def run(self) -> None:
        """Play the month until its end or the first difference."""
        self.stage.clear()
        self._begin()
        every: list[Any] = sorted([*self.fleet.events, *looks(self.fleet, self._chance)], key=_order)
        for what in every:
            if what.at > self.fleet.length:
                break
            if isinstance(what, Delivery):
                self._deliver(what)
            elif isinstance(what, Look):
                self._look(what)
            else:
                self._flush()
                self.stage.announce(what)
                self.oracle.announce(what)
                self.punctuality.announced(what.at)
            if self.differences:
                return
        self._flush()

    def _begin(self) -> None:
        """Let some devices have been there before the ledger: of those nobody knows when they were heard first."""
        share = self._chance.choice((0.0, 0.3))
        old = [device for device in self.fleet.incidents.devices if self._chance.random() < share]
        self.stage.begin_with(old)
        for device in old:
            self.oracle.facts.was_there(device)

    def _deliver(self, event: Delivery) -> None:
        alive = self._alive(event.at, {heartbeat.device for heartbeat in event.heartbeats})
        self.oracle.facts.write(event.at, event.heartbeats)
        newest: dict[str, Heartbeat] = {}
        late: list[Heartbeat] = []
        for heartbeat in event.heartbeats:
            other = newest.setdefault(heartbeat.device, heartbeat)
            if other is not heartbeat:
                older, newer = sorted((other, heartbeat), key=attrgetter("received_at"))
                newest[heartbeat.device] = newer
                late.append(older)
        written = sorted(newest.values())
        self._steps.append([event.at, *alive, *_columns(written), *_columns(late)])

    def _alive(self, at: int, devices: set[str] | None = None) -> list[str]:
        """Let some devices, or all, have written the steady heartbeats that are due at a time."""
        names, seen, written = [], [], []
        for device in devices or self._runs:
            runs = self._runs.get(device)
            if not runs:
                continue
            while len(runs) > 1 and runs[-2].stretch.written(runs[-2].first) <= at:
                runs.pop()
            newest = runs[-1].newest(at)
            if newest and newest[0] > self._newest.get(device, -1):
                self._newest[device] = newest[0]
                self.oracle.facts.keep_alive(device, *newest)
                names.append(device)
                seen.append(newest[0])
                written.append(newest[1])
        return [" ".join(map(str, column)) for column in (names, seen, written)]

    def _flush(self) -> None:
        if self._steps:
            self.stage.play(self._steps)
            self._steps = []

    def _look(self, look: Look) -> None:
        outages = self.fleet.incidents.outages
        if any(outage.kind == "database" and outage.starts <= look.at < outage.ends for outage in outages):
            self._failed.append(look.at)
            return
        self._steps.append([look.at, *self._alive(look.at), *[""] * 6])
        self._flush()
        unreachable = (self._failed[0], self._failed[-1]) if self._failed else None
        swept = self._sweep(look, unreachable)
        if swept is None:
            self.struck += 1
            return  # who was struck down does not know what it knew, and neither does the oracle
        self._failed = []
        self.sweeps += 1
        before = len(self.oracle.episodes)
        expected = self.oracle.sweep(look.at, unreachable, self.canary)
        self.punctuality.swept(self.oracle, self.oracle.episodes[before:])
        if swept != expected:
            self.differences.append(f"{look}: the sweep answered {swept}, the oracle {expected}")

    def _sweep(self, look: Look, unreachable: Span | None) -> Swept | None:
        stage, canary = self.stage, self.canary
        if look.kind in ("struck", "session ends"):
            statement = self._chance.randint(1, 12)
            ends = look.kind == "session ends"
            return stage.sweep_struck(look.at, unreachable, canary, statement, ends_session=ends)
        if look.kind == "rolled back":
            with stage.connection.transaction(force_rollback=True):
                stage.sweep(look.at, unreachable, canary)
            return None
        if look.kind == "at once":
            with stage.connection.transaction():
                swept = stage.sweep(look.at, unreachable, canary)
                self._expect_nothing(self.other.sweep(look.at, unreachable, canary), look)
            return swept
        if look.kind == "overtaken":
            swept = self.other.sweep(look.at, unreachable, canary)
            again = stage.sweep(look.at, None, canary)
            if again and (again.opened, again.closed, again.messages) != (0, 0, 0):
                self.differences.append(f"{look}: the same sweep again did something: {again}")
            return swept
        return stage.sweep(look.at, unreachable, canary)

    def _expect_nothing(self, swept: Swept | None, look: Look) -> None:
        if swept is not None:
            self.differences.append(f"{look}: two swept at the same time: {swept}")


def _order(what: Any) -> tuple[int, bool]:
    return what.at, isinstance(what, Look)


def _columns(heartbeats: list[Heartbeat]) -> list[str]:
    """Return devices, sites and times as texts, the times as an array that PostgreSQL reads."""
    devices, sites, times = zip(*heartbeats, strict=True) if heartbeats else ((), (), ())
    return [" ".join(devices), " ".join(sites), "{" + ",".join(map(_timestamp, times)) + "}"]


def _timestamp(at: int) -> str:
    seconds, rest = divmod(at, SECOND)
    hours, seconds = divmod(seconds, 3600)
    return f"2026-10-{6 + hours // 24:02} {hours % 24}:{seconds // 60}:{seconds % 60}.{rest:06}Z"
