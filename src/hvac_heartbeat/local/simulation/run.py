"""The run: by the wall clock, bounded in time, and indifferent to a server that is away."""

from __future__ import annotations

import heapq
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from hvac_heartbeat.local.fleet.incidents import SECOND
from hvac_heartbeat.local.fleet.live import PERIOD
from hvac_heartbeat.local.simulation.account import Account, Verdict
from hvac_heartbeat.local.simulation.agents import Away, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hvac_heartbeat.local.fleet import Heartbeat, Incident, LiveFleet
    from hvac_heartbeat.local.fleet.readings import Readings
    from hvac_heartbeat.local.simulation.agents import Answer

_WINDOW: Final = 5 * SECOND  # for which a gateway collects heartbeats
_AT_ONCE: Final = 8  # requests
_GLANCE_S: Final = 0.2
_PATIENCE_S: Final = PERIOD / SECOND


class Clock(Protocol):
    """The time, in epoch seconds: `time`, or what a test puts in its place."""

    def time(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class Audience(Protocol):
    """Whoever is told of the run."""

    def began(self, incident: Incident) -> None: ...
    def ended(self, incident: Incident) -> None: ...
    def away(self, reason: str) -> None: ...
    def back(self, seconds: float, dropped: int) -> None: ...
    def refused(self, reason: str) -> None: ...
    def tick(self) -> None: ...


@dataclass(frozen=True)
class Parcel:
    """Heartbeats that are posted together."""

    at: int
    beats: list[Heartbeat]


@dataclass(frozen=True)
class _Note:
    at: int
    tell: Callable[[Incident], None]
    incident: Incident


class Simulation:
    """Sends a fleet's heartbeats with `post`, which takes a payload, from `started` on.

    A heartbeat that nobody takes is dropped, as agents do that send the next one within a minute. So is one that has
    waited for a minute because the answers came too slowly.
    """

    def __init__(
        self,
        fleet: LiveFleet,
        readings: Readings,
        post: Callable[[dict[str, Any]], Answer],
        audience: Audience,
        *,
        started: float,
        batch: int = 1,
        clock: Clock = time,
    ) -> None:
        self.account = Account()
        self._fleet, self._readings, self._post, self._audience = fleet, readings, post, audience
        self._started, self._batch, self._clock = started, batch, clock
        self._lock = Lock()
        self._away_since: float | None = None
        self._dropped = 0
        self._has_refused = False
        self._error: BaseException | None = None

    def run(self, *, side_by_side: bool) -> bool:
        """Run to the end, with several requests at once if they may be; return whether Ctrl-C ended it earlier."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE)) if side_by_side else None
            try:
                for event in self._events():
                    self._wait_until(self._started + min(event.at, self._fleet.length) / SECOND)
                    if self._error is not None:
                        raise self._error
                    if isinstance(event, _Note):
                        event.tell(event.incident)
                    elif pool is not None:
                        pool.submit(self._deliver, event).add_done_callback(self._note_error)
                    else:
                        self._deliver(event)
                self._wait_until(self._started + self._fleet.length / SECOND)
            except KeyboardInterrupt:
                if pool is not None:
                    pool.shutdown(cancel_futures=True)
                return True
        return False

    def _events(self) -> Iterator[Parcel | _Note]:
        notes = [_Note(one.starts, self._audience.began, one) for one in self._fleet.incidents.seen]
        notes += [_Note(one.ends, self._audience.ended, one) for one in self._fleet.incidents.seen if one.ends]
        beats = (beat for beat in self._fleet.beats() if beat.received_at < self._fleet.length)
        by_time = attrgetter("at")
        return heapq.merge(sorted(notes, key=by_time), parcels(beats, self._batch), key=by_time)

    def _wait_until(self, due: float) -> None:
        self._audience.tick()
        while (left := due - self._clock.time()) > 0:
            self._clock.sleep(min(left, _GLANCE_S))
            self._audience.tick()

    def _note_error(self, done: Future[None]) -> None:
        if not done.cancelled():
            self._error = self._error or done.exception()

    def _deliver(self, parcel: Parcel) -> None:
        heartbeats = [self._readings.heartbeat(beat) for beat in parcel.beats]
        posted = self._clock.time()
        failed: list[Verdict] = ["failed"] * len(parcel.beats)
        if posted - self._started - parcel.at / SECOND > _PATIENCE_S:
            self._note_away("the answers come too slowly", parcel, posted)
            self.account.note(parcel.beats, failed, posted)
            return
        try:
            status, body = self._post(heartbeats[0] if self._batch == 1 else {"devices": heartbeats})
            found = verdicts(parcel.beats, status, body)
        except Away as away:
            self._note_away(str(away), parcel, posted)
            self.account.note(parcel.beats, failed, posted, is_certain=away.is_certain)
            return
        self.account.note(parcel.beats, found, posted)
        self._note_answer("rejected" in found, status, body)

    def _note_away(self, reason: str, parcel: Parcel, at: float) -> None:
        with self._lock:
            self._dropped += len(parcel.beats)
            if self._away_since is None:
                self._away_since = at
                self._audience.away(reason)

    def _note_answer(self, is_refused: bool, status: int, body: dict[str, Any]) -> None:  # noqa: FBT001 - one caller
        with self._lock:
            if self._away_since is not None:
                self._audience.back(self._clock.time() - self._away_since, self._dropped)
                self._away_since, self._dropped = None, 0
            if is_refused and not self._has_refused:
                self._has_refused = True
                first: dict[str, Any] = next(iter(body.get("rejected", ())), {})
                said = f"{first['field']} {first['reason']}" if first else body.get("message", "")
                self._audience.refused(f"{status} {said}")


def parcels(beats: Iterable[Heartbeat], batch: int) -> Iterator[Parcel]:
    """Put heartbeats together as they are posted: each by itself, or by site, `batch` of them at most."""
    waiting: dict[str, Parcel] = {}  # the oldest first
    for beat in beats:
        if batch == 1:
            yield Parcel(beat.received_at, [beat])
            continue
        while waiting and (oldest := next(iter(waiting.items())))[1].at <= beat.received_at:
            yield waiting.pop(oldest[0])
        parcel = waiting.setdefault(beat.site, Parcel(beat.received_at + _WINDOW, []))
        parcel.beats.append(beat)
        if len(parcel.beats) == batch:
            yield Parcel(beat.received_at, waiting.pop(beat.site).beats)
    yield from waiting.values()
