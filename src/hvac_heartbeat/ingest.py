"""Records in, verdicts out: the one use case, with the store behind a Protocol."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.errors import EventRefused, StoreUnavailable
from hvac_heartbeat.fields import Unusable
from hvac_heartbeat.heartbeat import Complaint, Heartbeat, HeartbeatRejected, merge, read, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

CHUNK = 10_000


class Verdict(IntEnum):
    """How a heartbeat ended; of a record with several heartbeats the highest counts."""

    UPDATED = 0
    OUTDATED = 1
    REJECTED = 2
    FAILED = 3


class Binding(msgspec.Struct, frozen=True):
    """Whose heartbeats a record may hold, by the envelope's own knowledge; None binds nothing.

    With `outranks` the envelope's word replaces the payload's (an IoT topic); without it the payload may leave the
    field out but not contradict it (an authorizer's claim).
    """

    device_id: str | None = None
    site_id: str | None = None
    outranks: bool = False


class Record(msgspec.Struct):
    """What a trigger takes out of its envelope: a decoded body with one or several heartbeats.

    `id` names the record to the trigger and in the log (message id; shard and sequence number; topic, partition and
    offset). `received_at` is the envelope's clock. `own_clock` says that the body may carry a `received_at` of AWS's
    making (IoT rules and direct events, never an HTTP body). `undecodable` is the reason why there is no body.
    """

    id: str
    body: object = None
    received_at: datetime | None = None
    own_clock: bool = False
    binding: Binding | None = None
    undecodable: str | None = None


class Written(msgspec.Struct, frozen=True):
    """The store's word on one batch, by device; a device in none of the three was updated."""

    outdated: frozenset[str] = frozenset()
    rejected: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    failure: StoreUnavailable | None = None


class Store(Protocol):
    """Keeps the newest heartbeat of every device."""

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        """Write up to 10,000 heartbeats of different devices, ordered by device id, before `deadline`.

        `deadline` is in seconds of `time.monotonic`. `Written.rejected` gives field and reason.

        Raises:
            StoreUnavailable: when none of them could be written and all are worth a retry.
        """
        ...


class Outcome(msgspec.Struct):
    """What became of every heartbeat of an event, in the order of the event."""

    records: Sequence[Record]
    owners: list[int] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    device_ids: list[str | None] = msgspec.field(default_factory=list)
    rejected: list[Complaint] = msgspec.field(default_factory=list)
    ignored: list[Complaint] = msgspec.field(default_factory=list)
    mismatched: int = 0
    failure: StoreUnavailable | None = None

    def devices(self, verdict: Verdict) -> list[str]:
        """Return the devices with this verdict, each once, in order of appearance."""
        if verdict not in self.verdicts:
            return []
        pairs = zip(self.device_ids, self.verdicts, strict=True)
        return list(dict.fromkeys(device for device, found in pairs if device is not None and found is verdict))

    def count(self, verdict: Verdict) -> int:
        """Return how many heartbeats ended with this verdict."""
        return self.verdicts.count(verdict)

    def record_verdicts(self) -> list[Verdict]:
        """Return one verdict a record: the worst of its heartbeats."""
        worst = [Verdict.UPDATED] * len(self.records)
        for owner, verdict in zip(self.owners, self.verdicts, strict=True):
            worst[owner] = max(worst[owner], verdict)
        return worst


def ingest(records: Sequence[Record], store: Store, deadline: float, *, limit: int | None = None) -> Outcome:
    """Read the records' heartbeats, write the good ones and say what became of each.

    Never raises on bad input or a lost database: both are verdicts.

    Raises:
        EventRefused: 413, with nothing written, when there are more than `limit` heartbeats.
    """
    outcome = Outcome(records)
    bodies: list[object] = []
    for owner, record in enumerate(records):
        found = _bodies(record)
        bodies += found
        outcome.owners += [owner] * len(found)
    if limit is not None and len(bodies) > limit:
        raise EventRefused(413, f"{len(bodies)} heartbeats in one event, at most {limit} are taken: send smaller ones")
    heartbeats = _read_every(bodies, outcome)
    _write(heartbeats, outcome, store, deadline)
    return outcome


class _Malformed(msgspec.Struct, frozen=True):
    """Stands where a heartbeat should have been."""

    field: str
    reason: str


def _bodies(record: Record) -> list[object]:
    if record.undecodable is not None:
        return [_Malformed("body", record.undecodable)]
    body = record.body
    if isinstance(body, dict) and body.get("devices") is not None:
        devices = body["devices"]
        if not isinstance(devices, list):
            return [_Malformed("devices", "is not a list")]
        return devices or [_Malformed("devices", "is empty")]
    if isinstance(body, list):
        return body or [_Malformed("devices", "is empty")]
    return [body]


def _read_every(bodies: list[object], outcome: Outcome) -> Iterable[Heartbeat]:
    arrivals = _arrivals(bodies, outcome)
    if not any(record.binding for record in outcome.records):
        clean = read_all(bodies, arrivals)
        if clean is not None:
            outcome.device_ids = [heartbeat.device_id for heartbeat in clean]
            outcome.verdicts = [Verdict.UPDATED] * len(clean)
            return clean
    heartbeats: list[Heartbeat] = []
    for index, (body, arrival) in enumerate(zip(bodies, arrivals, strict=True)):
        heartbeat = _read_one(index, body, arrival, outcome)
        if heartbeat is not None:
            heartbeats.append(heartbeat)
        outcome.device_ids.append(None if heartbeat is None else heartbeat.device_id)
        outcome.verdicts.append(Verdict.REJECTED if heartbeat is None else Verdict.UPDATED)
    return heartbeats


def _read_one(index: int, body: object, arrival: datetime | None, outcome: Outcome) -> Heartbeat | None:
    claimed = body.get("device_id") if isinstance(body, dict) else None
    try:
        if isinstance(body, _Malformed):
            raise HeartbeatRejected(body.field, body.reason)  # noqa: TRY301 - the one place that words a rejection
        binding = outcome.records[outcome.owners[index]].binding
        heartbeat, ignored = read(_bound(body, binding, outcome) if binding else body, arrival)
    except HeartbeatRejected as rejection:
        outcome.rejected.append(Complaint(index, claimed, rejection.field, rejection.reason))
        return None
    outcome.ignored += [Complaint(index, heartbeat.device_id, field, reason) for field, reason in ignored]
    return heartbeat


def _bound(body: object, binding: Binding, outcome: Outcome) -> object:
    if not isinstance(body, dict):
        return body
    bound = dict(body)
    for field in ("device_id", "site_id"):
        known = getattr(binding, field)
        if known is None:
            continue
        if not binding.outranks and bound.get(field) is not None:
            try:
                matches = fields.identity(bound[field]) == known
            except Unusable as unusable:
                raise HeartbeatRejected(field, str(unusable)) from unusable
            if not matches:
                outcome.mismatched += 1
                raise HeartbeatRejected(field, "is not the one that the sender is authenticated for")
        bound[field] = known
    return bound


def _arrivals(bodies: list[object], outcome: Outcome) -> list[datetime | None]:
    first = outcome.records[0] if len(outcome.records) == 1 else None
    if first is not None and not (first.own_clock and any(map(_has_clock, (first.body, *bodies)))):
        return [first.received_at] * len(bodies)
    return [
        _arrival(index, body, outcome.records[owner], outcome)
        for index, (body, owner) in enumerate(zip(bodies, outcome.owners, strict=True))
    ]


def _has_clock(body: object) -> bool:
    return isinstance(body, dict) and "received_at" in body


def _arrival(index: int, body: object, record: Record, outcome: Outcome) -> datetime | None:
    """Return the earliest of the clocks that count for this heartbeat."""
    if not record.own_clock:
        return record.received_at
    clocks = [] if record.received_at is None else [record.received_at]
    for source in (record.body, body):
        value = source.get("received_at") if isinstance(source, dict) else None
        if value is not None:
            try:
                clocks.append(fields.moment(value))
            except Unusable as unusable:
                outcome.ignored.append(Complaint(index, None, "received_at", str(unusable)))
    return min(clocks, default=None)


def _write(heartbeats: Iterable[Heartbeat], outcome: Outcome, store: Store, deadline: float) -> None:
    merged = merge(heartbeats)
    for start in range(0, len(merged), CHUNK):
        chunk = merged[start : start + CHUNK]
        try:
            written = store.write(chunk, deadline)
        except StoreUnavailable as failure:
            written = Written(failed=frozenset(heartbeat.device_id for heartbeat in chunk), failure=failure)
        if written.outdated or written.rejected or written.failed:
            _apply(written, outcome)


def _apply(written: Written, outcome: Outcome) -> None:
    outcome.failure = outcome.failure or written.failure
    for index, device_id in enumerate(outcome.device_ids):
        if device_id is None:
            continue
        if device_id in written.outdated:
            outcome.verdicts[index] = Verdict.OUTDATED
        elif device_id in written.rejected:
            outcome.verdicts[index] = Verdict.REJECTED
            outcome.rejected.append(Complaint(index, device_id, *written.rejected[device_id]))
        elif device_id in written.failed:
            outcome.verdicts[index] = Verdict.FAILED
