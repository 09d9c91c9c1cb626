"""JSON log lines; the one of the invocation doubles as a CloudWatch embedded metric record.

Format: "Specification: Embedded metric format", Amazon CloudWatch User Guide. No line holds a body or a secret, and no
dimension holds a device.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "HvacHeartbeat"
REJECTION_LINES = 20

_encode = msgspec.json.Encoder(enc_hook=str).encode


def log(level: str, message: str, **details: Any) -> None:
    """Write one JSON line to standard output, where Lambda collects it."""
    _write({"level": level, "message": message, **details})


def metrics(
    counts: Mapping[str, int], milliseconds: Mapping[str, float], function_name: str, trigger: str, **details: Any
) -> None:
    """Write one embedded metric record; `details` are searchable, not metrics.

    Its dimensions are the function, which alarms need (they cannot sum over triggers), and function with trigger.
    """
    declared = _declared(tuple(counts), tuple(milliseconds))
    line = {
        "level": "INFO",
        "message": "invocation",
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": declared},
        "function_name": function_name,
        "trigger": trigger,
        **counts,
        **details,
    }
    for name, value in milliseconds.items():
        line[name] = round(value, 3)
    _write(line)


def _write(details: dict[str, Any]) -> None:
    line = _encode(details).decode()
    clean = line.isascii() and "\x7f" not in line  # JSON has escaped the other control characters
    sys.stdout.write((line if clean or line.isprintable() else _escaped(line)) + "\n")


@cache
def _declared(counts: tuple[str, ...], milliseconds: tuple[str, ...]) -> list[dict[str, Any]]:
    declared = [{"Name": name, "Unit": "Milliseconds" if name.endswith("_ms") else "Count"} for name in counts]
    declared += [{"Name": name, "Unit": "Milliseconds"} for name in milliseconds]
    dimensions = [["function_name"], ["function_name", "trigger"]]
    return [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": declared}]


def _escaped(line: str) -> str:
    """Escape what some reader of logs would take for the end of a line (U+0085, U+2028) or obey (U+009B)."""
    import json

    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)
