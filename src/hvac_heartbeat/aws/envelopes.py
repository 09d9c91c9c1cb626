"""What envelopes have in common: their clocks, envelopes inside envelopes, and what an IoT rule adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat import fields
from hvac_heartbeat.aws.decoding import Malformed, decode
from hvac_heartbeat.records import Binding, Record

if TYPE_CHECKING:
    from datetime import datetime

_LONGEST_EPOCH = 20


def clock(value: object) -> datetime | None:
    """Read an envelope's time: ISO 8601, or epoch seconds or milliseconds as a number or as digits.

    None where there is no usable one; Kafka writes -1 for none (Apache Kafka, RecordBatch.NO_TIMESTAMP).
    """
    if isinstance(value, str) and len(value) <= _LONGEST_EPOCH and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int | float) and value <= 0:
        return None
    try:
        return fields.moment(value)
    except fields.Unusable:
        return None


def opened(name: str, content: object, received_at: datetime | None) -> Record:
    """Make a record of a queue's, a stream's or a topic's content, taking off the envelopes of SNS and EventBridge.

    The earliest of all clocks counts. `content` is JSON text or decoded already.
    """
    clocks = [received_at]
    try:
        body = decode(content)
        while isinstance(body, dict):
            if body.get("Type") == "Notification" and "Message" in body:
                clocks.append(clock(body.get("Timestamp")))
                body = decode(body["Message"])
            elif "detail-type" in body and "source" in body and "detail" in body:
                clocks.append(clock(body.get("time")))
                body = decode(body["detail"])
            else:
                break
    except Malformed as malformed:
        return Record(name, received_at=received_at, undecodable=str(malformed))
    earliest = min((found for found in clocks if found is not None), default=None)
    binding = topic(body)
    return Record(name, body, earliest, own_clock=binding is not None, binding=binding)


def topic(body: object) -> Binding | None:
    """Return what an IoT rule knows of the sender from the topic; None where the body is not of a rule's shape."""
    if not isinstance(body, dict):
        return None
    device, site = body.get("topic_device"), body.get("topic_site")
    if device is None and site is None:
        return None
    return Binding(device, site, outranks=True)


def first_is(records: object, sign: str, source: str) -> bool:
    """Say whether this is a list that begins with an object whose `sign` is `source`."""
    return isinstance(records, list) and bool(records) and as_object(records[0]).get(sign) == source


def as_object(value: object) -> dict[str, Any]:
    """Return the value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def part(envelope: object, key: str) -> dict[str, Any]:
    """Return the object at `key`, or an empty one where there is none."""
    return as_object(as_object(envelope).get(key))


def name_of(envelope: object, key: str) -> str | None:
    """Return the name at `key`; None where there is none, for an empty one names nothing."""
    name = as_object(envelope).get(key)
    return name if isinstance(name, str) and name else None
