"""Reads the heartbeats of an event's records: each in C where nothing is amiss in it, else by the exact rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.fields import CLOCK_TOLERANCE, Unusable
from hvac_heartbeat.heartbeat import Heartbeat, HeartbeatRejected, latest, read_exactly
from hvac_heartbeat.outcome import Complaint, Outcome, Verdict
from hvac_heartbeat.records import TooManyHeartbeats, UnreadableRecord
from hvac_heartbeat.records import bodies as bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hvac_heartbeat.records import Binding, Record

    Arrivals = Sequence[datetime | None]

_HEARTBEATS = list[Heartbeat]
_BLOCK = 1_000  # heartbeats
_YEAR_2 = datetime(2, 1, 1, tzinfo=UTC)
_NO_OBJECT = Complaint("heartbeat", "is not a JSON object")
# The latter for a lone surrogate where C wants UTF-8.
_NOT_IN_C = (msgspec.ValidationError, UnicodeEncodeError)


def read(records: Iterable[Record], *, refuse_too_many: bool = False) -> tuple[list[Heartbeat], Outcome]:
    """Read every heartbeat; those that could not be read are rejected in the outcome, the others updated so far.

    Records are taken in blocks, and none is kept: of a large event only the heartbeats stay in memory.

    Raises:
        EventRefused: 413 for a record of more than 10,000 heartbeats, where the caller can be told so.
    """
    outcome = Outcome()
    heartbeats: list[Heartbeat] = []
    block: list[object] = []
    arrivals: list[datetime | None] = []

    def read_block() -> None:
        heartbeats.extend(_read_block(block, arrivals, None, outcome))
        block.clear()
        arrivals.clear()

    for owner, record in enumerate(records):
        outcome.record_ids.append(record.id)
        try:
            bodies = bodies_of(record)
        except UnreadableRecord as error:
            if refuse_too_many and isinstance(error, TooManyHeartbeats):
                raise EventRefused(413, f"The event {error.complaint.reason}") from error
            read_block()
            _reject(error.complaint, None, outcome)
            outcome.owners.append(owner)
            continue
        arrived = _arrivals(record, bodies, outcome)
        outcome.owners += [owner] * len(bodies)
        if record.binding is None:
            block += bodies
            arrivals += arrived
        if record.binding is not None or len(block) >= _BLOCK:
            read_block()
        if record.binding is not None:
            heartbeats += _read_block(bodies, arrived, record.binding, outcome)
    read_block()
    return heartbeats, outcome


def _read_block(bodies: list[object], arrivals: Arrivals, binding: Binding | None, outcome: Outcome) -> list[Heartbeat]:
    if binding is None:
        heartbeats = _read_clean(bodies, arrivals)
        if heartbeats is not None:
            outcome.device_ids += [heartbeat.device_id for heartbeat in heartbeats]
            outcome.verdicts += [Verdict.UPDATED] * len(heartbeats)
            return heartbeats
    return [
        heartbeat
        for body, arrival in zip(bodies, arrivals, strict=True)
        if (heartbeat := _read_one(body, arrival, binding, outcome)) is not None
    ]


def _read_clean(bodies: list[object], arrivals: Arrivals) -> list[Heartbeat] | None:
    """Read the heartbeats of a record at once; None when anything in it needs the exact rules."""
    try:
        heartbeats = msgspec.convert(bodies, _HEARTBEATS)
    except _NOT_IN_C:
        return None
    for heartbeat, arrival in zip(heartbeats, arrivals, strict=True):
        heartbeat.received_at = arrival
    return heartbeats if _are_clean(heartbeats) else None


def _read_one(body: object, arrival: datetime | None, binding: Binding | None, outcome: Outcome) -> Heartbeat | None:
    if not isinstance(body, dict):  # known at once: an event may hold half a million zeros
        _reject(_NO_OBJECT, None, outcome)
        return None
    try:
        if binding is not None:
            body = _bound(body, binding, outcome)
        clean = _read_clean([body], [arrival])
        heartbeat, ignored = (clean[0], []) if clean else read_exactly(body, arrival)
    except HeartbeatRejected as rejection:
        _reject(rejection.complaint, body.get("device_id") if isinstance(body, dict) else None, outcome)
        return None
    for complaint in ignored:
        outcome.ignored.add(complaint.about(len(outcome.verdicts), heartbeat.device_id))
    outcome.device_ids.append(heartbeat.device_id)
    outcome.verdicts.append(Verdict.UPDATED)
    return heartbeat


def _are_clean(heartbeats: list[Heartbeat]) -> bool:
    """Say whether the rules that C does not know hold too: printable text, nothing to trim, uploads in the past."""
    names = "".join([heartbeat.device_id + heartbeat.site_id for heartbeat in heartbeats])
    # Of white space only " " is printable; a name with one inside it is good, and left to the exact rules.
    if " " in names or not names.isprintable():
        return False
    if not "".join({heartbeat.agent_version or "" for heartbeat in heartbeats}).isprintable():
        return False
    uploads = [heartbeat for heartbeat in heartbeats if heartbeat.last_upload_ts is not None]
    return not uploads or all(
        _YEAR_2 < heartbeat.last_upload_ts <= latest(heartbeat.received_at) + CLOCK_TOLERANCE  # type: ignore[operator]
        for heartbeat in uploads
    )


def _reject(complaint: Complaint, device_id: object, outcome: Outcome) -> None:
    outcome.rejected.add(complaint.about(len(outcome.verdicts), device_id))
    outcome.device_ids.append(None)
    outcome.verdicts.append(Verdict.REJECTED)


def _arrivals(record: Record, bodies: list[object], outcome: Outcome) -> Arrivals:
    """Return the earliest of the clocks that count, for each heartbeat.

    A rule that names the sender also puts its clock beside the whole payload, and what a gateway writes into its list
    is then the gateway's word.
    """
    first = len(outcome.owners)
    earliest = record.received_at
    if record.own_clock and record.body is not bodies:
        earliest = _earlier(earliest, record.body, first, outcome)
    ruled = record.binding is not None and record.binding.outranks
    if (
        not record.own_clock
        or ruled
        or not [body for body in bodies if isinstance(body, dict) and "received_at" in body]
    ):
        return [earliest] * len(bodies)
    return [_earlier(earliest, body, index, outcome) for index, body in enumerate(bodies, first)]


def _earlier(known: datetime | None, source: object, index: int, outcome: Outcome) -> datetime | None:
    value = source.get("received_at") if isinstance(source, dict) else None
    if value is None:
        return known
    try:
        found = fields.moment(value)
    except Unusable as unusable:
        outcome.ignored.add(Complaint("received_at", str(unusable), index))
        return known
    return found if known is None else min(known, found)


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
