"""How lengths of time and parts of a whole are put to a person, on a terminal and on the page."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

_PER_CENT_DIGITS: Final = Decimal("0.0001")  # three seconds of a month


def duration(value: timedelta) -> str:
    """Phrase a length of time by its two largest units: `3 d 4 h`, `5 min 2 s`; what is still to come is `0 s`."""
    seconds = max(int(value.total_seconds()), 0)
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def per_cent(part: Decimal) -> str:
    """Phrase a part of the whole, rounded down, so that 100 % is the whole and nothing less."""
    return "100 %" if part == 1 else f"{(part * 100).quantize(_PER_CENT_DIGITS, ROUND_FLOOR)} %"
