"""Writes heartbeats to the store: the clean rest first, then, one by one, the devices that the store has refused."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat, merge, newest_sites, of_several, says_more
from hvac_heartbeat.outcome import WriteResult
from hvac_heartbeat.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hvac_heartbeat.outcome import BatchResult, Complaint

BATCH_LIMIT: Final = 10_000  # devices
_SMALL_BATCH: Final = 8  # a refused batch of so few is not halved any more
_HOPELESS: Final = 64  # refusals in a row
_REFUSAL_LASTS_S: Final = 300.0


class Store(Protocol):
    """Keeps the newest heartbeat of every device."""

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        """Write up to 10,000 heartbeats of different devices, ordered by device id, before `deadline`.

        `deadline` is in seconds of `time.monotonic`. All or nothing.

        Raises:
            BatchRefused: the store does not take a row of the batch.
            StoreUnavailable: it could not write any, and all are worth a retry.
        """
        ...


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
        self._store = store
        self._refused = refused
        self._deadline = deadline
        self._result = WriteResult()
        self._several: dict[str, list[Heartbeat]] = {}  # of the devices with more than one heartbeat
        self._refusals_in_a_row = self._failures_in_a_row = 0

    def write(self, heartbeats: Sequence[Heartbeat]) -> WriteResult:
        first = {heartbeat.device_id: heartbeat for heartbeat in heartbeats}
        steps: dict[str, list[Heartbeat]] = {}
        if len(first) < len(heartbeats):
            self._several = of_several(heartbeats)
            steps = {device_id: merge(found) for device_id, found in self._several.items()}
            first.update((device_id, found[0]) for device_id, found in steps.items())
        alone: dict[str, None] = {}  # in the order in which they are to be tried
        self._write_together([first[device_id] for device_id in sorted(first)], alone)
        for place in range(1, max(map(len, steps.values()), default=1)):
            self._write_together([found[place] for found in steps.values() if place < len(found)], alone)
        if self._refused:
            alone.update(dict.fromkeys(self._refused.longest_ago_first(list(first))))
        if alone:
            self._write_alone({device_id: self._several.get(device_id) or [first[device_id]] for device_id in alone})
        return self._result

    def _write_together(self, heartbeats: list[Heartbeat], alone: dict[str, None]) -> None:
        """Write them in batches; the devices of batches that stay refused are added to `alone`."""
        if self._refused or alone:
            heartbeats = [
                heartbeat
                for heartbeat in heartbeats
                if heartbeat.device_id not in self._refused and heartbeat.device_id not in alone
            ]
        halves: deque[list[Heartbeat]] = deque()
        for start in range(0, len(heartbeats), BATCH_LIMIT):
            self._try_batch(heartbeats[start : start + BATCH_LIMIT], halves)
        # Half of the time for halves, so that there is some for each device by itself.
        half_time = (time.monotonic() + self._deadline) / 2
        while halves:
            batch = halves.popleft()
            is_hopeless = self._refusals_in_a_row >= _HOPELESS or time.monotonic() > half_time
            if is_hopeless or len(batch) <= _SMALL_BATCH:
                alone.update(dict.fromkeys(heartbeat.device_id for heartbeat in batch))
            else:
                self._try_batch(batch, halves)

    def _try_batch(self, batch: list[Heartbeat], halves: deque[list[Heartbeat]]) -> None:
        try:
            self._write_batch(batch)
        except BatchRefused:
            middle = len(batch) // 2
            halves.extend(half for half in (batch[:middle], batch[middle:]) if half)
        except StoreUnavailable as failure:
            self._fail((heartbeat.device_id for heartbeat in batch), failure)

    def _write_batch(self, batch: Sequence[Heartbeat]) -> None:
        try:
            result = self._store.write(batch, self._deadline)
        except BatchRefused as refused:
            self._refusals_in_a_row += 1
            self._failures_in_a_row = 0 if refused.failure is None else self._failures_in_a_row + 1
            raise
        self._refusals_in_a_row = self._failures_in_a_row = 0
        if self._result.outdated:  # by an older step, which this one has come after
            self._result.outdated.difference_update(heartbeat.device_id for heartbeat in batch)
        self._result.outdated |= result.outdated
        for heartbeat in batch if result.rejected else ():
            complaint = result.rejected.get(heartbeat.device_id)
            if complaint is not None:
                for one in self._several.get(heartbeat.device_id, (heartbeat,)):
                    self._result.rejected[one.device_id, one.site_id] = complaint

    def _write_alone(self, devices: dict[str, list[Heartbeat]]) -> None:
        given_up: StoreUnavailable | None = None
        for device_id, heartbeats in devices.items():
            if given_up is None and time.monotonic() >= self._deadline:
                given_up = StoreUnavailable("no time was left to write the heartbeats")
            failure = given_up or self._write_device(device_id, heartbeats)
            if failure is not None and not self._was_refused_lately(device_id, heartbeats):
                self._fail([device_id], failure)
            if self._failures_in_a_row >= _HOPELESS:
                given_up = failure

    def _write_device(self, device_id: str, heartbeats: list[Heartbeat]) -> StoreUnavailable | None:
        """Write one device's heartbeats, without those of the sites at which the store refuses it; return a failure."""
        sites = newest_sites(heartbeats)  # all others count as one
        refused: dict[str | None, Complaint] = {}
        for step in merge(heartbeats):
            site = step.site_id if step.site_id in sites else None
            try:
                complaint = None if site in refused else self._write_step(step)
            except StoreUnavailable as failure:
                return failure
            if complaint is not None:
                refused[site] = complaint
        for heartbeat in heartbeats if refused else ():
            complaint = refused.get(heartbeat.site_id if heartbeat.site_id in sites else None)
            if complaint is not None:
                self._result.rejected[device_id, heartbeat.site_id] = complaint
        return None

    def _write_step(self, heartbeat: Heartbeat) -> Complaint | None:
        """Write one heartbeat, without its optional fields where it is refused with them; return what rejects it.

        Raises:
            StoreUnavailable: it has failed.
        """
        device_id = heartbeat.device_id
        known = self._refused.get(device_id)
        try:
            self._write_batch([heartbeat])
        except BatchRefused as refused:
            # What refused it without its optional fields last time would do so again.
            is_known = known is not None and known.complaint == refused.complaint
            if refused.failure is None and not is_known and says_more(heartbeat):
                try:
                    self._write_batch([Heartbeat(device_id, heartbeat.site_id, heartbeat.received_at)])
                except BatchRefused as bare:
                    refused = bare
                else:
                    self._result.ignored[device_id, heartbeat.site_id] = refused.complaint
                    self._refused.add(device_id, None)
                    return None
            self._refused.add(device_id, refused.complaint if refused.failure is None else None)
            if refused.failure is not None:
                raise refused.failure from refused
            return refused.complaint  # not the error, whose frames would keep the whole event in memory
        if known is not None:
            self._refused.remove(device_id)
        return None

    def _was_refused_lately(self, device_id: str, heartbeats: list[Heartbeat]) -> bool:
        """Reject again, for want of time to try it, what the store rejected a moment ago: so a retry gets further."""
        known = self._refused.get(device_id)
        if (
            time.monotonic() < self._deadline
            or known is None
            or known.complaint is None
            or known.at < time.monotonic() - _REFUSAL_LASTS_S
        ):
            return False
        for heartbeat in heartbeats:
            self._result.rejected[device_id, heartbeat.site_id] = known.complaint
        return True

    def _fail(self, device_ids: Iterable[str], failure: StoreUnavailable) -> None:
        self._result.failed.update(device_ids)
        self._result.failure = self._result.failure or failure
