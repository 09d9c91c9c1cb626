"""JSON and base64 from outside: in C where the text is clean, leniently where one value in it is not."""

from __future__ import annotations

import binascii

import msgspec

_decode = msgspec.json.decode
# Longer integers cost quadratic time, and Python refuses 4,300 digits on its own ("Integer string conversion length
# limitation"). No field takes one, so any number of that size stands for it.
_LONGEST_INTEGER = 400
_HUGE: int = 10**_LONGEST_INTEGER


class Malformed(Exception):
    """A text that is no JSON; the message is the reason, to be read after the name of what held it."""


def decode(content: object) -> object:
    """Decode JSON text; what has been decoded already (EventBridge Pipes do so at times) is returned as it is.

    A NaN literal, a lone surrogate, an integer of any length or a raw control character spoils the value that it is
    in, not the heartbeats beside it.

    Raises:
        Malformed: when it is no JSON, blank, or nested more deeply than Python's stack allows.
    """
    if isinstance(content, dict | list):
        return content
    if not isinstance(content, str | bytes):
        raise Malformed("is missing" if content is None else "is not text")
    try:
        return _decode(content)
    except RecursionError as error:
        raise Malformed("is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError):
        return _decode_leniently(content)


def decode_base64(text: object) -> bytes:
    """Decode base64 text (RFC 4648, section 4).

    Raises:
        Malformed: when it is anything else.
    """
    if not isinstance(text, str):
        raise Malformed("is missing" if text is None else "is not text")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Malformed("is not base64") from error


def _decode_leniently(content: str | bytes) -> object:
    import json  # the slow path alone needs it

    text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    text = text.removeprefix("\ufeff")  # some agents' encoders put a byte order mark there
    if not text.strip():
        raise Malformed("is empty")
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except RecursionError as error:
        raise Malformed("is nested too deeply") from error
    except ValueError as error:
        raise Malformed("is not JSON") from error


def _integer(text: str) -> int:
    if len(text) <= _LONGEST_INTEGER:
        return int(text)
    return -_HUGE if text.startswith("-") else _HUGE
