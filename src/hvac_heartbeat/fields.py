"""One reader per field of a heartbeat: the value as PostgreSQL takes it, or the reason why it cannot be used.

These are the exact rules and the slow path: `reading` lets a clean heartbeat pass without them. Every reader takes one
decoded JSON value and raises `Unusable`; none of them raises anything else, whatever the value.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import msgspec

ID_LIMIT = 256
VERSION_LIMIT = 128
INT4_MAX = 2**31 - 1
STATUSES = ("ready", "degraded", "error")
CLOCK_TOLERANCE = timedelta(minutes=5)

# Compiled at first use, by `re` itself: a cold start does without.
_CONTROL_CHARACTER = r"[\x00-\x1f\x7f-\x9f]"
_LONE_SURROGATE = r"[\ud800-\udfff]"
_DECIMAL = r"(?a)[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_ISO_8601 = r"(?ai)\d{4}-?(\d\d|W\d)[0-9-]*([T ][0-9:.,]+(Z|[+-][0-9:]+)?)?"
_TEXT_NUMBER_LIMIT = 64
_MILLISECONDS_FROM = 10**11  # as seconds that would be the year 5138; as milliseconds it is 1973
_EPOCH_DIGITS = 9  # fewer could be a date such as 20260105
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unusable(Exception):
    """A value that its field cannot take; the message is the reason, to be read after the field's name."""


def identity(value: object) -> str:
    """Read `device_id` or `site_id`: 1 to 256 characters after trimming, or an integer of up to 64 bits."""
    if type(value) is str and value.isprintable() and 0 < len(value) <= ID_LIMIT and " " not in value:
        return value  # nearly all are so: the rest of the rules would find nothing
    if value is None:
        raise Unusable("is missing")
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise Unusable("is an integer beyond signed 64 bits")
        return str(value)
    text = _clean(value.strip() if isinstance(value, str) else value, ID_LIMIT)
    if not text:
        raise Unusable("is blank")
    return text


def status(value: object) -> str:
    if value not in STATUSES or not isinstance(value, str):
        raise Unusable("is not one of ready, degraded, error")
    return value


def agent_version(value: object) -> str:
    return _clean(value, VERSION_LIMIT)


def amount(value: object) -> float:
    """Read `cpu_pct` (percent) or `disk_free_gb` (gigabytes): a finite number of at least 0, or its decimal text."""
    if type(value) is float and 0 <= value < math.inf:
        return value
    number = _number(value)
    if number < 0:
        raise Unusable("is below 0")
    return number


def count(value: object) -> int:
    """Read `queue_depth`: an integer from 0 to 2^31 - 1, its decimal text, or a float without a fraction."""
    return _integer(value, 0)


def interval(value: object) -> int:
    """Read `poll_interval_s` (seconds): an integer from 1 to 2^31 - 1, written as for `queue_depth`."""
    return _integer(value, 1)


def past_moment(value: object, arrival: datetime) -> datetime:
    """Read `last_upload_ts`: a moment that is not more than five minutes after `arrival`."""
    read = moment(value)
    if read > arrival + CLOCK_TOLERANCE:
        raise Unusable("is more than 5 minutes after the heartbeat's arrival")
    return read


def moment(value: object) -> datetime:
    """Read a time: ISO 8601 (no offset means UTC), epoch seconds, or epoch milliseconds (from 10^11 on).

    Nine and more digits as text are an epoch too; fewer are nothing, because they could be meant as a date.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            if not (text.isascii() and text.isdigit()):
                return _iso_moment(text)
            if len(text) < _EPOCH_DIGITS:
                raise Unusable("is text of too few digits for an epoch")
            value = int(text)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unusable("is neither text nor a number")
        if not math.isfinite(value):
            raise Unusable("is not a finite number")
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise Unusable("is not a time between the years 1 and 9999") from error


def _iso_moment(text: str) -> datetime:
    try:
        read = msgspec.convert(text, datetime)  # as `reading` reads it: to the nearest microsecond
    except (msgspec.ValidationError, UnicodeEncodeError):
        if not re.fullmatch(_ISO_8601, text):
            raise Unusable("is not a time in ISO 8601") from None
        read = datetime.fromisoformat(text.upper())
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _integer(value: object, least: int) -> int:
    if type(value) is int and least <= value <= INT4_MAX:
        return value
    number = _number(value)
    if not number.is_integer():
        raise Unusable("is not an integer")
    if not least <= number <= INT4_MAX:
        raise Unusable(f"is outside {least} to {INT4_MAX}")
    return int(number)


def _number(value: object) -> float:
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _TEXT_NUMBER_LIMIT or not re.fullmatch(_DECIMAL, value):
            raise Unusable("is text that is not a decimal number")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unusable("is not a finite number")
    return number


def _clean(text: object, limit: int) -> str:
    if not isinstance(text, str):
        raise Unusable("is not a string")
    if len(text) > limit:
        raise Unusable(f"is longer than {limit} characters")
    if text.isprintable():
        return text
    if re.search(_CONTROL_CHARACTER, text):
        raise Unusable("holds a control character")
    if re.search(_LONE_SURROGATE, text):
        raise Unusable("holds a lone surrogate, which is no character")
    return text
