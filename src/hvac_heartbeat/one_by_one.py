"""Writes single devices, after all others: those that the store has refused, in this event or before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import merge, newest_sites, says_more, without_fields
from hvac_heartbeat.outcome import WriteResult
from hvac_heartbeat.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hvac_heartbeat.heartbeat import Heartbeat
    from hvac_heartbeat.outcome import BatchResult, Complaint
    from hvac_heartbeat.refusals import Refusals

BATCH_LIMIT: Final = 10_000  # devices
HOPELESS: Final = 64  # refusals in a row
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

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        """Note heartbeats that came after a newer one of their device; return a reason where it never will.

        Raises:
            StoreUnavailable: it could not, and all are worth a retry.
        """
        ...


class EventStore:
    """A store for the time of one event: gathers what became of the heartbeats, and counts refusals in a row."""

    def __init__(self, store: Store, deadline: float) -> None:
        self.deadline = deadline
        self.result = WriteResult()
        self.several: Mapping[str, list[Heartbeat]] = {}  # of the devices with more than one heartbeat
        self.refusals_in_a_row = self.failures_in_a_row = 0
        self._store = store

    def write(self, batch: Sequence[Heartbeat]) -> None:
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
                for one in self.several.get(heartbeat.device_id, (heartbeat,)):
                    self.result.rejected[one.device_id, one.site_id] = complaint

    def note_late(self, heartbeats: Sequence[Heartbeat]) -> None:
        """Have the store note late heartbeats; what it may take at another time has failed."""
        try:
            self.result.ledger = self._store.note_late(heartbeats, self.deadline)
        except StoreUnavailable as failure:
            self.fail((heartbeat.device_id for heartbeat in heartbeats), failure)

    def fail(self, device_ids: Iterable[str], failure: StoreUnavailable) -> None:
        """Note that these devices were not written, and are worth a retry."""
        self.result.failed.update(device_ids)
        self.result.failure = self.result.failure or failure


class OneByOne:
    """Writes the devices of an event that go by themselves."""

    def __init__(self, store: EventStore, refused: Refusals) -> None:
        self._store = store
        self._refused = refused
        self._result = store.result
        self._started = time.monotonic()
        self._bare: set[str] = set()  # devices that were written without their optional fields

    def write(self, devices: Mapping[str, list[Heartbeat]]) -> None:
        """Write each device's heartbeats, in this order, while there is time."""
        self._write_without_fields(sorted(devices), devices)
        given_up: StoreUnavailable | None = None
        tries_with_fields = HOPELESS  # of devices that were written without
        for device_id, heartbeats in devices.items():
            is_late = time.monotonic() >= self._store.deadline
            is_written = device_id in self._bare
            if is_written and (is_late or not tries_with_fields):
                self._ignore_again(device_id, heartbeats)
                continue
            if is_late and given_up is None:
                given_up = StoreUnavailable("no time was left to write the heartbeats")
            failure = given_up or self._write_device(device_id, heartbeats)
            if failure is not None and not self._reject_again(device_id, heartbeats):
                self._store.fail([device_id], failure)
            if is_written and device_id in self._refused:
                tries_with_fields -= 1
            if self._store.failures_in_a_row >= HOPELESS:
                given_up = failure

    def _write_device(self, device_id: str, heartbeats: list[Heartbeat]) -> StoreUnavailable | None:
        """Write one device's heartbeats, without those of the sites at which the store refuses it; return a failure."""
        sites = newest_sites(heartbeats)  # all others count as one
        steps = [(step.site_id if step.site_id in sites else None, step) for step in merge(heartbeats)]
        newest = dict(steps)
        refused: dict[str | None, Complaint] = {}
        for site, step in steps:
            if site in refused and step is not newest[site]:
                continue
            try:
                complaint = self._write_step(step)
            except StoreUnavailable as failure:
                return failure
            if complaint is not None:
                refused[site] = complaint
            else:
                refused.pop(site, None)  # the store takes what is newer
        for heartbeat in heartbeats if refused else ():
            complaint = refused.get(heartbeat.site_id if heartbeat.site_id in sites else None)
            if complaint is not None:
                self._result.rejected[device_id, heartbeat.site_id] = complaint
        known = self._refused.get(device_id)
        if known is not None and known.at < self._started:  # nothing of it was refused this time
            self._refused.remove(device_id)
        return None

    def _write_step(self, heartbeat: Heartbeat) -> Complaint | None:
        """Write one heartbeat, without its optional fields where it is refused with them; return what rejects it.

        Raises:
            StoreUnavailable: it has failed.
        """
        try:
            self._store.write([heartbeat])
        except BatchRefused as refused:
            complaint, failure = refused.complaint, refused.failure
        else:
            return None
        known = self._refused.get(heartbeat.device_id)
        # What refused it without its optional fields last time would do so again.
        is_known = known is not None and known.is_same(heartbeat.site_id, complaint)
        lacks_fields = heartbeat.device_id in self._bare
        if failure is None and says_more(heartbeat) and not lacks_fields and not is_known:
            try:
                self._store.write([without_fields(heartbeat)])
            except BatchRefused as bare:
                complaint, failure = bare.complaint, bare.failure
            else:
                lacks_fields = True
        is_permanent = failure is None and not lacks_fields
        refusal = Refusal(time.monotonic(), heartbeat.site_id, complaint, is_permanent, lacks_fields)
        self._refused.add(heartbeat.device_id, refusal)
        if lacks_fields:
            self._result.ignored[heartbeat.device_id, heartbeat.site_id, heartbeat.received_at] = complaint
            return None
        if failure is not None:
            raise failure
        return complaint

    def _reject_again(self, device_id: str, heartbeats: list[Heartbeat]) -> bool:
        """Reject without a try what the store rejected a moment ago, so that a retry gets further than the last try."""
        known = self._refused.get(device_id)
        if (
            time.monotonic() < self._store.deadline
            or known is None
            or not known.is_permanent
            or known.at < time.monotonic() - _REFUSAL_LASTS_S
            or any(heartbeat.site_id != known.site_id for heartbeat in heartbeats)
        ):
            return False
        self._result.rejected[device_id, known.site_id] = known.complaint
        return True

    def _ignore_again(self, device_id: str, heartbeats: list[Heartbeat]) -> None:
        """Say of a device that was written without its optional fields what was said of them the last time."""
        known = self._refused.get(device_id)
        if known is not None:
            newest = merge(heartbeats)[-1]  # the one that was written
            self._result.ignored[device_id, newest.site_id, newest.received_at] = known.complaint

    def _write_without_fields(self, device_ids: Sequence[str], devices: Mapping[str, list[Heartbeat]]) -> None:
        """Write those whose optional fields were refused lately without them, in case there is no time for more."""
        bare = []
        for device_id in device_ids:
            known = self._refused.get(device_id)
            if known is not None and known.lacks_fields:
                *older, newest = merge(devices[device_id])
                if known.site_id == newest.site_id and not older:
                    bare.append(without_fields(newest))
        for start in range(0, len(bare), BATCH_LIMIT):
            batch = bare[start : start + BATCH_LIMIT]
            try:
                self._store.write(batch)
            except (BatchRefused, StoreUnavailable):
                continue  # each of them is still to be written by itself
            self._bare.update(heartbeat.device_id for heartbeat in batch)
