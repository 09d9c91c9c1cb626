"""What the database answered, in JSON's types: for the commands' --json and for the read API alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

# Whose name says the unit also where there is none.
_LENGTHS: Final = frozenset({"age", "stale_after", "length", "observed", "silent", "longest", "mean_time_to_return"})


def plain(value: Any) -> Any:
    """Return a value in JSON's types: times in UTC, and lengths in seconds under a name that says so."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {f"{key}_s" if _is_length(key, inner) else key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 6)
    return float(value) if isinstance(value, Decimal) else value


def _is_length(key: str, value: object) -> bool:
    return isinstance(value, timedelta) or (value is None and key in _LENGTHS)
