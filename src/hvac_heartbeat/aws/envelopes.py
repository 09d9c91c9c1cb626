"""What envelopes have in common: JSON and base64 inside them, their clocks, envelopes in envelopes, IoT rules."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.reading import Record, iot_binding

Content = tuple[str, object, datetime | None]  # a record's name, its text or what became of it, its clock

# What a text may become when it is decoded, counted as in `_weigh`. 10,000 heartbeats with every field weigh 140,000.
# A unit takes up to 64 bytes, and Lambda's smallest memory is 128 MB for everything.
RECORD_LIMIT = 300_000
EVENT_LIMIT = 500_000  # more than Lambda's largest event, 6 MB, holds of heartbeats with four fields in base64
_CONTAINER = 4
_DENSEST = _CONTAINER / 2  # what a character can weigh at most, as a container takes two
_NO_ROOM = f"does not fit: the records of one event may hold {EVENT_LIMIT} values together"

# Longer integers cost quadratic time, and Python refuses 4,300 digits on its own ("Integer string conversion length
# limitation"). No field takes one, so any number of that size stands for it.
_LONGEST_INTEGER = 400
_HUGE: int = 10**_LONGEST_INTEGER


class DecodeError(Exception):
    """A text that cannot be decoded; the message is the reason, to be read after the name of what held it."""


class TooLarge(DecodeError):
    """A text that would take too much memory."""


def decode(content: object) -> object:
    """Decode JSON text; what has been decoded already (EventBridge Pipes do so at times) is returned as it is.

    A NaN literal, a lone surrogate, an integer of any length or a raw control character spoils the value that it is
    in, not the heartbeats beside it. Raises TooLarge, before it is decoded, for what holds more than `RECORD_LIMIT`,
    and DecodeError for what is no JSON, blank, nested more deeply than Python's stack allows, or such an error itself.
    """
    if isinstance(content, dict | list):
        return content
    if isinstance(content, DecodeError):
        raise content
    if not isinstance(content, str | bytes):
        raise DecodeError("is missing" if content is None else "is not text")
    if len(content) * _DENSEST > RECORD_LIMIT and (weight := _weigh(content)) > RECORD_LIMIT:
        raise TooLarge(
            f"holds too many values: {weight}, at most {RECORD_LIMIT} are taken (a list or an object counts as four)"
        )
    try:
        return msgspec.json.decode(content)
    except RecursionError as error:
        raise DecodeError("is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError):
        return _decode_leniently(content)


def decode_base64(text: object) -> bytes:
    """Decode base64 text (RFC 4648, section 4)."""
    if not isinstance(text, str):
        raise DecodeError("is missing" if text is None else "is not text")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise DecodeError("is not base64") from error


def base64_content(text: object) -> bytes | DecodeError:
    """Return what base64 text holds, or why that cannot be had, to be told when the record is made of it."""
    try:
        return decode_base64(text)
    except DecodeError as error:
        return error


def clock(value: object) -> datetime | None:
    """Read an envelope's time: ISO 8601, or epoch seconds or milliseconds as a number or as digits.

    None where there is no usable one; Kafka writes -1 for none (Apache Kafka, RecordBatch.NO_TIMESTAMP).
    """
    try:
        read = fields.moment(value)
    except fields.Unusable:
        return None
    return read if read > fields.EPOCH else None


def unwrap_records(contents: Sequence[Content]) -> Iterator[Record]:
    """Make one record of each content, and the next one when it is asked for.

    Where all of them together would take too much memory, the largest are turned away: a small one is never lost
    because of what lies beside it.
    """
    crowded: set[int] = set()
    size = sum(len(text) for _, text, _ in contents if isinstance(text, str | bytes))
    if size * _DENSEST > EVENT_LIMIT:
        weights = [_weigh(text) if isinstance(text, str | bytes) else 0 for _, text, _ in contents]
        room = EVENT_LIMIT
        for index in sorted(range(len(weights)), key=weights.__getitem__):
            if weights[index] <= RECORD_LIMIT:  # else it takes no room, because it is not decoded
                room -= weights[index]
                if room < 0:
                    crowded.add(index)
    for index, (name, text, received_at) in enumerate(contents):
        if index in crowded:
            yield Record(name, received_at=received_at, undecodable=_NO_ROOM)
        else:
            yield unwrap_record(name, text, received_at)


def unwrap_record(name: str, content: object, received_at: datetime | None) -> Record:
    """Make a record of a queue's, a stream's or a topic's content, taking off the envelopes of SNS and EventBridge.

    The earliest of all clocks counts. `content` is as `decode` takes it.
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
    except DecodeError as error:
        return Record(name, received_at=received_at, undecodable=str(error))
    earliest = min((read for read in clocks if read is not None), default=None)
    binding = iot_binding(body)
    return Record(name, body, earliest, own_clock=binding is not None, binding=binding)


def as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def get_object(envelope: object, key: str) -> dict[str, Any]:
    """Return the object at `key`, or an empty one where there is none."""
    return as_object(as_object(envelope).get(key))


def get_name(envelope: object, key: str) -> str | None:
    """Return the name at `key`; None where there is none, for an empty one names nothing."""
    name = as_object(envelope).get(key)
    return name if isinstance(name, str) and name else None


def _weigh(content: str | bytes) -> int:
    """Count what JSON text would become: a value is 1 and a container 4, as their sizes in memory are.

    Punctuation inside strings counts too, which only a very large text can notice.
    """
    if isinstance(content, bytes):
        return content.count(b",") + _CONTAINER * (content.count(b"{") + content.count(b"["))
    return content.count(",") + _CONTAINER * (content.count("{") + content.count("["))


def _decode_leniently(content: str | bytes) -> object:
    import json  # the slow path alone needs it

    text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    text = text.removeprefix("\ufeff")  # some agents' encoders put a byte order mark there
    if not text or text.isspace():
        raise DecodeError("is empty")
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except RecursionError as error:
        raise DecodeError("is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise DecodeError(f"is not JSON: see line {error.lineno}, column {error.colno}") from error


def _integer(text: str) -> int:
    if len(text) <= _LONGEST_INTEGER:
        return int(text)
    return -_HUGE if text.startswith("-") else _HUGE
