"""The devices that the store has refused: what is remembered of them, and how they are written one by one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat, merge, newest_sites, without_fields
from hvac_heartbeat.outcome import Complaint

if TYPE_CHECKING:
    from hvac_heartbeat.writing import EventWriter

BATCH_LIMIT: Final = 10_000  # devices
HOPELESS: Final = 64  # refusals in a row
_REMEMBERED: Final = 50_000  # devices; some 10 MB
_REFUSAL_LASTS_S: Final = 300.0


class Refusal(msgspec.Struct, frozen=True):
    """When a device was refused, in seconds of `time.monotonic`, at which site, and why.

    With `is_permanent` the store refused the device itself, with `lacks_fields` its optional fields alone. Without
    either, the refusal may pass.
    """

    at: float
    site_id: str
    complaint: Complaint
    is_permanent: bool = False
    lacks_fields: bool = False


class Refusals:
    """The last refusal of each device; the oldest are forgotten when there are more than 50,000.

    A device is kept by the hash of its id, because 50,000 ids can take half of the smallest Lambda's memory. The hash
    has 64 bits and a secret key (Python's SipHash), so that no two ids share one, by chance or by design.
    """

    def __init__(self) -> None:
        self.by_hash: dict[int, Refusal] = {}  # the longest ago first, as each refusal moves a device to the end

    def get(self, device_id: str) -> Refusal | None:
        return self.by_hash.get(hash(device_id))

    def add(self, device_id: str, refusal: Refusal) -> None:
        self.remove(device_id)
        self.by_hash[hash(device_id)] = refusal
        if len(self.by_hash) > _REMEMBERED:
            del self.by_hash[next(iter(self.by_hash))]

    def remove(self, device_id: str) -> None:
        self.by_hash.pop(hash(device_id), None)

    def longest_ago_first(self, device_ids: list[str]) -> list[str]:
        """Return those of these devices that were refused, in the order in which that happened."""
        known = [(refusal.at, device_id) for device_id in device_ids if (refusal := self.get(device_id)) is not None]
        return [device_id for _, device_id in sorted(known)]


class OneByOne:
    """Writes the devices of an event that go by themselves."""

    def __init__(self, event: EventWriter, refused: Refusals) -> None:
        self._event = event
        self._result = event.result
        self._refused = refused
        self._started = time.monotonic()
        self._bare: set[str] = set()  # devices that were written without their optional fields

    def write(self, devices: Mapping[str, list[Heartbeat]]) -> None:
        """Write each device's heartbeats, in this order, while there is time."""
        self._write_without_fields(devices)
        given_up: StoreUnavailable | None = None
        tries_with_fields = HOPELESS  # of devices that were written without
        for device_id, heartbeats in devices.items():
            is_late = time.monotonic() >= self._event.deadline
            is_written = device_id in self._bare
            if is_written and (is_late or not tries_with_fields):
                self._ignore_again(device_id, heartbeats)
                continue
            if is_late and given_up is None:
                given_up = StoreUnavailable("no time was left to write the heartbeats")
            failure = given_up or self._write_device(device_id, heartbeats)
            if failure is not None and not self._reject_again(device_id, heartbeats):
                self._event.fail(heartbeats, failure)
            if is_written and self._refused.get(device_id) is not None:
                tries_with_fields -= 1
            if self._event.failures_in_a_row >= HOPELESS:
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
        """Write one heartbeat, without its optional fields where it is refused with them; return what rejects it."""
        try:
            self._event.write_batch([heartbeat])
        except BatchRefused as refused:
            complaint, failure = refused.complaint, refused.failure
        else:
            return None
        known = self._refused.get(heartbeat.device_id)
        # What refused it without its optional fields last time would do so again.
        same = (heartbeat.site_id, complaint, True)
        is_known = known is not None and (known.site_id, known.complaint, known.is_permanent) == same
        lacks_fields = heartbeat.device_id in self._bare
        bare = without_fields(heartbeat)
        if failure is None and bare != heartbeat and not lacks_fields and not is_known:
            try:
                self._event.write_batch([bare])
            except BatchRefused as refused:
                complaint, failure = refused.complaint, refused.failure
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
        known, now = self._refused.get(device_id), time.monotonic()
        if now < self._event.deadline or known is None or not known.is_permanent:
            return False
        if known.at < now - _REFUSAL_LASTS_S or any(heartbeat.site_id != known.site_id for heartbeat in heartbeats):
            return False
        self._result.rejected[device_id, known.site_id] = known.complaint
        return True

    def _ignore_again(self, device_id: str, heartbeats: list[Heartbeat]) -> None:
        """Say of a device that was written without its optional fields what was said of them the last time."""
        known = self._refused.get(device_id)
        if known is not None:
            newest = merge(heartbeats)[-1]  # the one that was written
            self._result.ignored[device_id, newest.site_id, newest.received_at] = known.complaint

    def _write_without_fields(self, devices: Mapping[str, list[Heartbeat]]) -> None:
        """Write those whose optional fields were refused lately without them, in case there is no time for more."""
        bare = []
        for device_id in sorted(devices):
            known = self._refused.get(device_id)
            if known is not None and known.lacks_fields:
                *older, newest = merge(devices[device_id])
                if known.site_id == newest.site_id and not older:
                    bare.append(without_fields(newest))
        for start in range(0, len(bare), BATCH_LIMIT):
            batch = bare[start : start + BATCH_LIMIT]
            try:
                self._event.write_batch(batch)
            except (BatchRefused, StoreUnavailable):
                continue  # each of them is still to be written by itself
            self._bare.update(heartbeat.device_id for heartbeat in batch)
