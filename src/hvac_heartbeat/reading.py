"""Reads the heartbeats of an event's records: each in C where nothing is amiss in it, else by the exact rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.fields import CLOCK_TOLERANCE, Unusable
from hvac_heartbeat.heartbeat import YEAR_2, Heartbeat, latest, read_exactly
from hvac_heartbeat.outcome import Complaint, Outcome, Verdict

RECORD_LIMIT = 10_000  # heartbeats
_BLOCK = 1_000  # heartbeats
_NO_OBJECT = Complaint("heartbeat", "is not a JSON object")


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


def iot_binding(body: object) -> Binding | None:
    """Return what an IoT rule knows of the sender from the topic; None where the body is not of a rule's shape."""
    if not isinstance(body, dict):
        return None
    device, site = body.get("topic_device"), body.get("topic_site")
    return None if device is None and site is None else Binding(device, site, outranks=True)


def read(records: Iterable[Record], *, refuse_too_many: bool = False) -> tuple[list[Heartbeat], Outcome]:
    """Read every heartbeat; those that could not be read are rejected in the outcome, the others updated so far.

    Records are taken in blocks, and none is kept: of a large event only the heartbeats stay in memory.
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
    if outcome.ignored.count:
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
    """Read heartbeats at once; None when anything in them needs the exact rules.

    C does not know that text must be printable, with nothing to trim, and that an upload is in the past.
    """
    try:
        heartbeats = msgspec.convert(bodies, list[Heartbeat])
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for a lone surrogate where C wants UTF-8
        return None
    names = "".join([heartbeat.device_id + heartbeat.site_id for heartbeat in heartbeats])
    versions = "".join({heartbeat.agent_version or "" for heartbeat in heartbeats})
    # Of white space only " " is printable; a name with one inside it is good, and left to the exact rules.
    if " " in names or not names.isprintable() or not versions.isprintable():
        return None
    for heartbeat, arrival in zip(heartbeats, arrivals, strict=True):
        heartbeat.received_at = arrival
        upload = heartbeat.last_upload_ts
        if upload is not None:
            if not YEAR_2 < upload <= latest(arrival) + CLOCK_TOLERANCE:
                return None
            heartbeat.last_upload_ts = upload.astimezone(UTC)
    return heartbeats


def _read_one(body: object, arrival: datetime | None, outcome: Outcome) -> Heartbeat | None:
    if not isinstance(body, dict):  # known at once: an event may hold half a million zeros
        _reject(body if isinstance(body, Complaint) else _NO_OBJECT, outcome)
        return None
    clean = _read_clean([body], [arrival])
    found = (clean[0], []) if clean else read_exactly(body, arrival)
    if isinstance(found, Complaint):
        _reject(found.about(-1, body.get("device_id")), outcome)
        return None
    heartbeat, ignored = found
    for complaint in ignored:
        outcome.ignored.add(complaint.about(len(outcome.verdicts), heartbeat.device_id))
    outcome.device_ids.append(heartbeat.device_id)
    outcome.verdicts.append(Verdict.UPDATED)
    return heartbeat


def _reject(complaint: Complaint, outcome: Outcome) -> None:
    outcome.rejected.add(complaint.about(len(outcome.verdicts), complaint.device_id))
    outcome.device_ids.append(None)
    outcome.verdicts.append(Verdict.REJECTED)


def _arrivals(record: Record, bodies: list[object], outcome: Outcome) -> list[datetime | None]:
    """Return the earliest of the clocks that count, for each heartbeat.

    A rule that names the sender also puts its clock beside the whole payload, and what a gateway writes into its list
    is then the gateway's word.
    """
    if not record.own_clock:
        return [record.received_at] * len(bodies)
    said = [body.get("received_at") if isinstance(body, dict) else None for body in (record.body, *bodies)]
    if said.count(None) == len(said):
        return [record.received_at] * len(bodies)
    first = len(outcome.owners)
    earliest = _earlier(record.received_at, record.body, first, outcome)
    if bodies[0] is record.body or (record.binding is not None and record.binding.outranks):
        return [earliest] * len(bodies)
    return [_earlier(earliest, body, index, outcome) for index, body in enumerate(bodies, first)]


def _earlier(known: datetime | None, body: object, index: int, outcome: Outcome) -> datetime | None:
    """Return the earlier of a time and a body's `received_at`."""
    if not isinstance(body, dict) or body.get("received_at") is None:
        return known
    try:
        found = fields.moment(body["received_at"])
    except Unusable as unusable:
        outcome.ignored.add(Complaint("received_at", str(unusable), index, body.get("device_id")))
        return known
    return found if known is None else min(known, found)
