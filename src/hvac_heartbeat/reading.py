"""Reads the heartbeats of an event's records: each in C where nothing is amiss in it, else by the exact rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.fields import CLOCK_TOLERANCE, Unusable
from hvac_heartbeat.heartbeat import YEAR_2, Heartbeat, HeartbeatRejected, latest, read_exactly
from hvac_heartbeat.outcome import Complaint, Outcome, Verdict
from hvac_heartbeat.records import RECORD_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hvac_heartbeat.records import Binding, Record

_HEARTBEATS = list[Heartbeat]
_BLOCK = 1_000  # heartbeats
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
    for owner, record in enumerate(records):
        outcome.record_ids.append(record.id)
        bodies = _bodies(record, refuse_too_many=refuse_too_many)
        arrivals += _arrivals(record, bodies, outcome)
        outcome.owners += [owner] * len(bodies)
        block += bodies if record.binding is None else [_bind(body, record.binding, outcome) for body in bodies]
        if len(block) >= _BLOCK:
            heartbeats += _read_block(block, arrivals, outcome)
            block, arrivals = [], []
    heartbeats += _read_block(block, arrivals, outcome)
    outcome.ignored.merge(())  # a clock's complaints come before those of its block
    return heartbeats, outcome


def _bodies(record: Record, *, refuse_too_many: bool) -> list[object]:
    """Return the bodies of a record's heartbeats, or one `Complaint` where there are none, or too many."""
    if record.undecodable is not None:
        return [Complaint("body", record.undecodable)]
    found = record.body
    if isinstance(found, dict) and found.get("devices") is not None:
        found = found["devices"]
        if not isinstance(found, list):
            return [Complaint("devices", "is not a list")]
    if not isinstance(found, list):
        return [found]
    if len(found) > RECORD_LIMIT:
        reason = f"holds {len(found)} heartbeats, at most {RECORD_LIMIT} are taken: send smaller ones"
        if refuse_too_many:
            raise EventRefused(413, f"The event {reason}")
        return [Complaint("devices", reason)]
    return found or [Complaint("devices", "is empty")]


def _bind(body: object, binding: Binding, outcome: Outcome) -> object:
    """Return the body with the identity that its sender has, or a `Complaint` where it names another one."""
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
                return Complaint(field, str(unusable), device_id=body.get("device_id"))
            if not matches:
                outcome.mismatched += 1
                reason = "is not the one that the sender is authenticated for"
                return Complaint(field, reason, device_id=body.get("device_id"))
        bound[field] = known
    return bound


def _read_block(bodies: list[object], arrivals: list[datetime | None], outcome: Outcome) -> list[Heartbeat]:
    heartbeats = _read_clean(bodies, arrivals)
    if heartbeats is None:
        read_one_by_one = (_read_one(body, arrival, outcome) for body, arrival in zip(bodies, arrivals, strict=True))
        return [heartbeat for heartbeat in read_one_by_one if heartbeat is not None]
    outcome.device_ids += [heartbeat.device_id for heartbeat in heartbeats]
    outcome.verdicts += [Verdict.UPDATED] * len(heartbeats)
    return heartbeats


def _read_clean(bodies: list[object], arrivals: list[datetime | None]) -> list[Heartbeat] | None:
    """Read the heartbeats of a record at once; None when anything in it needs the exact rules."""
    try:
        heartbeats = msgspec.convert(bodies, _HEARTBEATS)
    except _NOT_IN_C:
        return None
    for heartbeat, arrival in zip(heartbeats, arrivals, strict=True):
        heartbeat.received_at = arrival
    return heartbeats if _are_clean(heartbeats) else None


def _read_one(body: object, arrival: datetime | None, outcome: Outcome) -> Heartbeat | None:
    if not isinstance(body, dict):  # known at once: an event may hold half a million zeros
        _reject(body if isinstance(body, Complaint) else _NO_OBJECT, outcome)
        return None
    clean = _read_clean([body], [arrival])
    try:
        heartbeat, ignored = (clean[0], []) if clean else read_exactly(body, arrival)
    except HeartbeatRejected as rejection:
        _reject(rejection.complaint.about(-1, body.get("device_id")), outcome)
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
        YEAR_2 < heartbeat.last_upload_ts <= latest(heartbeat.received_at) + CLOCK_TOLERANCE  # type: ignore[operator]
        for heartbeat in uploads
    )


def _reject(complaint: Complaint, outcome: Outcome) -> None:
    outcome.rejected.add(complaint.about(len(outcome.verdicts), complaint.device_id))
    outcome.device_ids.append(None)
    outcome.verdicts.append(Verdict.REJECTED)


def _arrivals(record: Record, bodies: list[object], outcome: Outcome) -> list[datetime | None]:
    """Return the earliest of the clocks that count, for each heartbeat.

    A rule that names the sender also puts its clock beside the whole payload, and what a gateway writes into its list
    is then the gateway's word.
    """
    first = len(outcome.owners)
    earliest = record.received_at
    if record.own_clock and _says_received_at(record.body):
        earliest = _earlier(earliest, record.body, first, outcome)
    ruled = record.binding is not None and record.binding.outranks
    if not record.own_clock or ruled or bodies[0] is record.body or not [b for b in bodies if _says_received_at(b)]:
        return [earliest] * len(bodies)
    return [_earlier(earliest, body, index, outcome) for index, body in enumerate(bodies, first)]


def _says_received_at(body: object) -> bool:
    return isinstance(body, dict) and body.get("received_at") is not None


def _earlier(known: datetime | None, body: Any, index: int, outcome: Outcome) -> datetime | None:
    """Return the earlier of a time and the body's `received_at`."""
    if not _says_received_at(body):
        return known
    try:
        found = fields.moment(body["received_at"])
    except Unusable as unusable:
        outcome.ignored.add(Complaint("received_at", str(unusable), index, body.get("device_id")))
        return known
    return found if known is None else min(known, found)
