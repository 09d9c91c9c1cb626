"""Records in, verdicts out: the one use case, with the store behind a Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvac_heartbeat import fields
from hvac_heartbeat.batch import read_all
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.fields import Unusable
from hvac_heartbeat.heartbeat import Complaint, Heartbeat, HeartbeatRejected, read
from hvac_heartbeat.records import Malformed
from hvac_heartbeat.records import bodies as bodies_of
from hvac_heartbeat.verdicts import Outcome, Verdict
from hvac_heartbeat.writing import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hvac_heartbeat.records import Binding, Record
    from hvac_heartbeat.writing import Store


def ingest(records: Sequence[Record], store: Store, deadline: float, *, limit: int | None = None) -> Outcome:
    """Read the records' heartbeats, write the good ones and say what became of each.

    Never raises on bad input or a lost database: both are verdicts.

    Raises:
        EventRefused: 413, with nothing written, when there are more than `limit` heartbeats.
    """
    outcome = Outcome(records)
    bodies: list[object] = []
    for owner, record in enumerate(records):
        found = bodies_of(record)
        bodies += found
        outcome.owners += [owner] * len(found)
    if limit is not None and len(bodies) > limit:
        raise EventRefused(413, f"{len(bodies)} heartbeats in one event, at most {limit} are taken: send smaller ones")
    heartbeats = _read_every(bodies, outcome)
    write(heartbeats, outcome, store, deadline)
    return outcome


def _read_every(bodies: list[object], outcome: Outcome) -> Sequence[Heartbeat]:
    arrivals = _arrivals(bodies, outcome)
    if not [record for record in outcome.records if record.binding]:
        at_once = read_all(bodies, arrivals)
        if at_once is not None:
            heartbeats, ignored = at_once
            outcome.device_ids = [heartbeat.device_id for heartbeat in heartbeats]
            outcome.verdicts = [Verdict.UPDATED] * len(heartbeats)
            outcome.ignored += [Complaint(index, outcome.device_ids[index], *found) for index, *found in ignored]
            return heartbeats
    heartbeats = []
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
        if isinstance(body, Malformed):
            raise HeartbeatRejected(body.field, body.reason)  # noqa: TRY301 - the one place that words a rejection
        binding = outcome.records[outcome.owners[index]].binding
        heartbeat, ignored = read(_bound(body, binding, outcome) if binding else body, arrival)
    except HeartbeatRejected as rejection:
        outcome.rejected.append(Complaint(index, claimed, rejection.field, rejection.reason))
        return None
    outcome.ignored += [Complaint(index, heartbeat.device_id, field, reason) for field, reason in ignored]
    return heartbeat


def _arrivals(bodies: list[object], outcome: Outcome) -> list[datetime | None]:
    first = outcome.records[0] if len(outcome.records) == 1 else None
    if first is not None and not (first.own_clock and _tell_a_clock([first.body, *bodies])):
        return [first.received_at] * len(bodies)
    return [
        _arrival(index, body, outcome.records[owner], outcome)
        for index, (body, owner) in enumerate(zip(bodies, outcome.owners, strict=True))
    ]


def _tell_a_clock(bodies: list[object]) -> bool:
    return bool([body for body in bodies if isinstance(body, dict) and "received_at" in body])


def _arrival(index: int, body: object, record: Record, outcome: Outcome) -> datetime | None:
    """Return the earliest of the clocks that count for this heartbeat.

    A rule that names the sender also puts its clock beside the whole payload, and what a gateway writes into its list
    is then the gateway's word.
    """
    if not record.own_clock:
        return record.received_at
    clocks = [] if record.received_at is None else [record.received_at]
    ruled = record.binding is not None and record.binding.outranks
    for source in (record.body,) if ruled else (record.body, body):
        value = source.get("received_at") if isinstance(source, dict) else None
        if value is not None:
            try:
                clocks.append(fields.moment(value))
            except Unusable as unusable:
                outcome.ignored.append(Complaint(index, None, "received_at", str(unusable)))
    return min(clocks, default=None)


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
