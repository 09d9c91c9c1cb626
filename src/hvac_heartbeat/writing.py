"""Writes heartbeats to the store: the clean rest first, then, one by one, the devices that the store has refused."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import merge, of_several
from hvac_heartbeat.one_by_one import BATCH_LIMIT, HOPELESS, EventStore, OneByOne
from hvac_heartbeat.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hvac_heartbeat.heartbeat import Heartbeat
    from hvac_heartbeat.one_by_one import Store
    from hvac_heartbeat.outcome import WriteResult

_SMALL_BATCH: Final = 8  # a refused batch of so few is not halved any more


class Writer:
    """Writes heartbeats to a store, and remembers for the next event which devices it refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refused = Refusals()

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> WriteResult:
        """Write an event's heartbeats before `deadline` (`time.monotonic`); what could not be tried has failed.

        One refused row fails its whole statement. So a batch that is refused is written in halves, and the few that
        are left over go one by one, after all others. A device that was refused goes there at once with the next
        event, behind those that were not tried yet: each retry of an event gets further than the last.
        """
        return _EventWrite(self._store, self._refused, deadline).write(heartbeats)


class _EventWrite:
    def __init__(self, store: Store, refused: Refusals, deadline: float) -> None:
        self._store = EventStore(store, deadline)
        self._refused = refused
        # Half of the time for halves, so that there is some for each device by itself.
        self._half_time = (time.monotonic() + deadline) / 2
        self._alone: dict[str, None] = {}  # devices to be written by themselves, in this order

    def write(self, heartbeats: Sequence[Heartbeat]) -> WriteResult:
        first = {heartbeat.device_id: heartbeat for heartbeat in heartbeats}
        steps: dict[str, list[Heartbeat]] = {}
        if len(first) < len(heartbeats):
            self._store.several = of_several(heartbeats)
            steps = {device_id: merge(found) for device_id, found in self._store.several.items()}
            first.update((device_id, found[0]) for device_id, found in steps.items())
        refused = self._refused.longest_ago_first(list(first)) if self._refused else []
        self._alone = dict.fromkeys(refused)
        self._write_together([first[device_id] for device_id in sorted(first)])
        for place in range(1, max(map(len, steps.values()), default=1)):
            self._write_together([found[place] for found in steps.values() if place < len(found)])
        for device_id in refused:  # behind those that were not tried yet
            self._alone[device_id] = self._alone.pop(device_id)
        if self._alone:
            several = self._store.several
            devices = {device_id: several.get(device_id) or [first[device_id]] for device_id in self._alone}
            OneByOne(self._store, self._refused).write(devices)
        result = self._store.result
        if result.outdated or steps:
            late = [heartbeat for heartbeat in heartbeats if _is_late(heartbeat, steps, result)]
            if late:
                self._store.note_late(late)
        return result

    def _write_together(self, heartbeats: list[Heartbeat]) -> None:
        """Write them in batches; the devices of batches that stay refused are to be written alone."""
        if self._alone or self._store.result.failed:
            apart = self._alone.keys() | self._store.result.failed
            heartbeats = [heartbeat for heartbeat in heartbeats if heartbeat.device_id not in apart]
        halves: deque[list[Heartbeat]] = deque()
        for start in range(0, len(heartbeats), BATCH_LIMIT):
            self._try_batch(heartbeats[start : start + BATCH_LIMIT], halves)
        while halves:
            batch = halves.popleft()
            is_hopeless = self._store.refusals_in_a_row >= HOPELESS or time.monotonic() > self._half_time
            if is_hopeless or len(batch) <= _SMALL_BATCH:
                self._alone.update(dict.fromkeys(heartbeat.device_id for heartbeat in batch))
            else:
                self._try_batch(batch, halves)

    def _try_batch(self, batch: list[Heartbeat], halves: deque[list[Heartbeat]]) -> None:
        try:
            self._store.write(batch)
        except BatchRefused:
            middle = len(batch) // 2
            halves.extendleft(half for half in (batch[middle:], batch[:middle]) if half)
        except StoreUnavailable as failure:
            self._store.fail((heartbeat.device_id for heartbeat in batch), failure)


def _is_late(heartbeat: Heartbeat, steps: Mapping[str, list[Heartbeat]], result: WriteResult) -> bool:
    """Say whether a newer heartbeat of its device had come before this one, to the store or in the same event."""
    device_id, seen_at = heartbeat.device_id, heartbeat.received_at
    if seen_at is None or device_id in result.failed or (device_id, heartbeat.site_id) in result.rejected:
        return False
    if device_id in result.outdated:
        return True
    newest = steps[device_id][-1] if device_id in steps else heartbeat
    return newest.received_at is None or newest.received_at > seen_at
