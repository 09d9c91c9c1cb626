"""What a trigger takes out of its envelope, and the heartbeats' bodies in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hvac_heartbeat.outcome import Complaint

if TYPE_CHECKING:
    from datetime import datetime

RECORD_LIMIT = 10_000  # heartbeats


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


class UnreadableRecord(Exception):
    """A record that holds no heartbeats, or too many; `complaint` says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.complaint = Complaint(field, reason)


class TooManyHeartbeats(UnreadableRecord):
    """A record of more than 10,000 heartbeats, which is rejected as one."""

    def __init__(self, count: int) -> None:
        super().__init__("devices", f"holds {count} heartbeats, at most {RECORD_LIMIT} are taken: send smaller ones")


def bodies(record: Record) -> list[object]:
    """Return the bodies of a record's heartbeats, one at least.

    Raises:
        UnreadableRecord: when there is none, or there are more than 10,000.
    """
    if record.undecodable is not None:
        raise UnreadableRecord("body", record.undecodable)
    found = record.body
    if isinstance(found, dict) and found.get("devices") is not None:
        found = found["devices"]
        if not isinstance(found, list):
            raise UnreadableRecord("devices", "is not a list")
    if not isinstance(found, list):
        return [found]
    if not found:
        raise UnreadableRecord("devices", "is empty")
    if len(found) > RECORD_LIMIT:
        raise TooManyHeartbeats(len(found))
    return found
