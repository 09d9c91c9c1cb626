"""Packs one column of a batch as a PostgreSQL array in binary form.

The form is that of `array_recv` and of the elements' own `recv` functions (PostgreSQL sources, arrayfuncs.c,
timestamp.c): five 32-bit words (dimensions, whether nulls occur, element type, length, lower bound), then each element
as its length and its bytes, all big-endian; a null is the length -1; a timestamptz counts microseconds from 2000-01-01.
Measured against one JSON parameter and against psycopg's own array dumper in docs/decisions/0002, as is the way of
packing: most columns of a batch hold few values many times, so each value is packed once.
"""

from __future__ import annotations

import contextlib
import sys
from array import array
from datetime import UTC, datetime, timedelta
from operator import add
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT: Final = 25
INT4: Final = 23
FLOAT8: Final = 701
TIMESTAMPTZ: Final = 1184
ARRAY_OF: Final = {TEXT: 1009, INT4: 1007, FLOAT8: 1022, TIMESTAMPTZ: 1185}

_pack_header = Struct(">iiIii").pack
_LENGTH = Struct(">i").pack
_NULL = _LENGTH(-1)
_FIXED = {INT4: ("i", 4), FLOAT8: ("d", 8), TIMESTAMPTZ: ("q", 8)}
_ELEMENT = {oid: Struct(f">i{letter}").pack for oid, (letter, _) in _FIXED.items()}
# The four bytes of a length, as characters that Latin-1 turns into those bytes.
_LENGTH_AS_TEXT = [_LENGTH(length).decode("latin-1") for length in range(257)]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Column:
    """One column of a batch, packed block by block.

    A block is what stays in the processor's cache: for 10,000 heartbeats at once, fetching each value from memory anew
    costs as much as everything else together.
    """

    __slots__ = ("_absent", "_blocks", "_element_type", "_length")

    def __init__(self, element_type: int) -> None:
        """Take the OID of the elements' type."""
        self._element_type = element_type
        self._blocks: list[bytes] = []
        self._length = self._absent = 0

    def add(self, values: Sequence[Any]) -> None:
        """Append values: str, int, float or aware datetimes to match the type, or None."""
        self._length += len(values)
        if values[0] is None and values.count(None) == len(values):
            self._absent += len(values)
            self._blocks.append(_NULL * len(values))
        else:
            self._blocks.append(self._pack(values))

    def _pack(self, values: Sequence[Any]) -> bytes:
        if self._element_type != TEXT:
            with contextlib.suppress(TypeError):  # of a None, which is cheaper than to look for one in every column
                return _pack_fixed(self._element_type, values)
        distinct = set(values)
        if None in distinct:
            self._absent += values.count(None)
        elif 2 * len(distinct) > len(values) and (packed := _pack_short_ascii(values)) is not None:
            return packed
        elements = {value: _pack_element(self._element_type, value) for value in distinct}
        return b"".join(map(elements.__getitem__, values))

    def packed(self) -> bytes | None:
        """Return the array; None when every value is, for which PostgreSQL takes a null array."""
        if self._absent == self._length:
            return None
        header = _pack_header(1, int(self._absent > 0), self._element_type, self._length, 1)
        return header + b"".join(self._blocks)


def _pack_fixed(element_type: int, values: Sequence[Any]) -> bytes:
    if element_type == TIMESTAMPTZ:
        first = values[0]
        if values.count(first) == len(values):  # one envelope's clock for the whole batch
            values = ((first - _EPOCH) // _MICROSECOND,) * len(values)
        else:
            values = [(value - _EPOCH) // _MICROSECOND for value in values]
    return _pack_numbers(*_FIXED[element_type], values)


def _pack_element(element_type: int, value: Any) -> bytes:
    if value is None:
        return _NULL
    if element_type == TEXT:
        encoded: bytes = value.encode()
        return _LENGTH(len(encoded)) + encoded
    if element_type == TIMESTAMPTZ:
        value = (value - _EPOCH) // _MICROSECOND
    return _ELEMENT[element_type](_FIXED[element_type][1], value)


def _pack_short_ascii(values: Sequence[str]) -> bytes | None:
    """Return the elements of a column of device ids, encoded all at once; None when one is longer or not ASCII."""
    lengths = list(map(len, values))
    if max(lengths) >= len(_LENGTH_AS_TEXT) or not "".join(values).isascii():
        return None
    if lengths.count(lengths[0]) == len(lengths):
        prefix = _LENGTH_AS_TEXT[lengths[0]]
        return (prefix + prefix.join(values)).encode("latin-1")
    return "".join(map(add, map(_LENGTH_AS_TEXT.__getitem__, lengths), values)).encode("latin-1")


def _pack_numbers(letter: str, size: int, values: Sequence[Any]) -> bytes:
    """Return the elements of a column of numbers, laid out byte by byte of all of them at once."""
    numbers = array(letter, values)
    if sys.byteorder == "little":
        numbers.byteswap()
    raw = numbers.tobytes()
    stride = 4 + size
    packed = bytearray(stride * len(values))
    packed[3::stride] = bytes((size,)) * len(values)
    for place in range(size):
        packed[4 + place :: stride] = raw[place::size]
    return bytes(packed)
