"""Writes heartbeats to the store: the clean rest first, then, one by one, the devices that the store has refused."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat, merge, of_several
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.refused import BATCH_LIMIT, HOPELESS, OneByOne, Refusals

_SMALL_BATCH: Final = 8  # a refused batch of so few is not halved any more


class Store(Protocol):
    """Keeps the newest heartbeat of every device."""

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        """Write up to 10,000 heartbeats of different devices, ordered by device id, before `deadline`, all or nothing.

        `deadline` is in seconds of `time.monotonic`. Raises BatchRefused where the store does not take a row of the
        batch, StoreUnavailable where all are worth a retry.
        """
        ...

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        """Note heartbeats that came after a newer one of their device; return a reason where it never will.

        Raises StoreUnavailable where all are worth a retry.
        """
        ...


class WriteResult(msgspec.Struct):
    """What became of an event's heartbeats; a device in none of the four was updated.

    What is rejected is named by device and site, because the store may take a device at one site and refuse it at
    another; what loses its optional fields, by its time too.
    """

    outdated: set[str] = msgspec.field(default_factory=set)
    failed: set[str] = msgspec.field(default_factory=set)
    rejected: dict[tuple[str, str], Complaint] = msgspec.field(default_factory=dict)
    ignored: dict[tuple[str, str, datetime | None], Complaint] = msgspec.field(default_factory=dict)
    failure: StoreUnavailable | None = None
    ledger: str | None = None  # why late heartbeats are not noted


class Writer:
    """Writes events to a store, and remembers for the next one which devices it refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refused = Refusals()

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> WriteResult:
        """Write an event's heartbeats before `deadline` (`time.monotonic`); what could not be tried has failed.

        One refused row fails its whole statement. So a batch that is refused is written in halves, and the few that
        are left over go one by one, after all others. A device that was refused goes there at once with the next
        event, behind those that were not tried yet: each retry of an event gets further than the last.
        """
        return EventWriter(self._store, self._refused, deadline).write(heartbeats)


class EventWriter:
    """Writes one event: gathers what became of its heartbeats, and counts refusals in a row."""

    def __init__(self, store: Store, refused: Refusals, deadline: float) -> None:
        self.deadline = deadline
        self.result = WriteResult()
        self.refusals_in_a_row = self.failures_in_a_row = 0
        self._store = store
        self._refused = refused
        # Half of the time for halves, so that there is some for each device by itself.
        self._half_time = (time.monotonic() + deadline) / 2
        self._several: dict[str, list[Heartbeat]] = {}  # of the devices with more than one heartbeat
        self._alone: dict[str, None] = {}  # devices to be written by themselves, in this order

    def write(self, heartbeats: Sequence[Heartbeat]) -> WriteResult:
        """Write the event's heartbeats, in batches of one for each device, the oldest first."""
        first = {heartbeat.device_id: heartbeat for heartbeat in heartbeats}
        steps: dict[str, list[Heartbeat]] = {}
        if len(first) < len(heartbeats):
            self._several = of_several(heartbeats)
            steps = {device_id: merge(found) for device_id, found in self._several.items()}
            first.update((device_id, found[0]) for device_id, found in steps.items())
        refused = self._refused.longest_ago_first(list(first)) if self._refused.by_hash else []
        self._alone = dict.fromkeys(refused)
        self._write_together([first[device_id] for device_id in sorted(first)])
        for index in range(1, max(map(len, steps.values()), default=1)):
            self._write_together([found[index] for found in steps.values() if index < len(found)])
        for device_id in refused:  # behind those that were not tried yet
            self._alone[device_id] = self._alone.pop(device_id)
        if self._alone:
            devices = {device_id: self._several.get(device_id) or [first[device_id]] for device_id in self._alone}
            OneByOne(self, self._refused).write(devices)
        if self.result.outdated or steps:
            newest = {device_id: found[-1] for device_id, found in steps.items()}
            self._note_late([one for one in heartbeats if self._is_late(one, newest.get(one.device_id, one))])
        return self.result

    def write_batch(self, batch: Sequence[Heartbeat]) -> None:
        """Write a batch, all of it or nothing; raises as the store does."""
        try:
            result = self._store.write(batch, self.deadline)
        except BatchRefused as refused:
            self.refusals_in_a_row += 1
            self.failures_in_a_row = 0 if refused.failure is None else self.failures_in_a_row + 1
            raise
        self.refusals_in_a_row = self.failures_in_a_row = 0
        if self.result.outdated:  # by an older step, which this one has come after
            self.result.outdated.difference_update(heartbeat.device_id for heartbeat in batch)
        self.result.outdated |= result.outdated
        for heartbeat in batch if result.rejected else ():
            complaint = result.rejected.get(heartbeat.device_id)
            if complaint is not None:
                for one in self._several.get(heartbeat.device_id, (heartbeat,)):
                    self.result.rejected[one.device_id, one.site_id] = complaint

    def fail(self, heartbeats: Iterable[Heartbeat], failure: StoreUnavailable) -> None:
        """Note that these heartbeats were not written, and are worth a retry."""
        self.result.failed.update(heartbeat.device_id for heartbeat in heartbeats)
        self.result.failure = self.result.failure or failure

    def _is_late(self, heartbeat: Heartbeat, newest: Heartbeat) -> bool:
        """Say whether a newer one of its device had come before this heartbeat, to the store or in the same event."""
        device_id, seen_at = heartbeat.device_id, heartbeat.received_at
        if seen_at is None or device_id in self.result.failed or (device_id, heartbeat.site_id) in self.result.rejected:
            return False
        return device_id in self.result.outdated or newest.received_at is None or newest.received_at > seen_at

    def _note_late(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Have the store note late heartbeats; what it may take at another time has failed."""
        try:
            self.result.ledger = self._store.note_late(heartbeats, self.deadline) if heartbeats else None
        except StoreUnavailable as failure:
            self.fail(heartbeats, failure)

    def _write_together(self, heartbeats: list[Heartbeat]) -> None:
        """Write them in batches; the devices of batches that stay refused are to be written alone."""
        if self._alone or self.result.failed:
            apart = self._alone.keys() | self.result.failed
            heartbeats = [heartbeat for heartbeat in heartbeats if heartbeat.device_id not in apart]
        refused = []
        for start in range(0, len(heartbeats), BATCH_LIMIT):
            batch = heartbeats[start : start + BATCH_LIMIT]
            try:
                self.write_batch(batch)
            except BatchRefused:
                refused.append(batch)
            except StoreUnavailable as failure:
                self.fail(batch, failure)
        if refused:
            self._write_halves(refused)

    def _write_halves(self, refused: list[list[Heartbeat]]) -> None:
        """Write what a store takes of batches that it has refused, one half to its end before the other."""
        halves = deque(half for batch in refused for half in _halves(batch))
        while halves:
            batch = halves.popleft()
            is_hopeless = self.refusals_in_a_row >= HOPELESS or time.monotonic() > self._half_time
            if is_hopeless or len(batch) <= _SMALL_BATCH:
                self._alone.update(dict.fromkeys(heartbeat.device_id for heartbeat in batch))
                continue
            try:
                self.write_batch(batch)
            except BatchRefused:
                halves.extendleft(reversed(_halves(batch)))
            except StoreUnavailable as failure:
                self.fail(batch, failure)


def _halves(batch: list[Heartbeat]) -> list[list[Heartbeat]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]
