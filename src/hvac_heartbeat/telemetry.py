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
    line = _encode({"level": level, "message": message, **details}).decode()
    sys.stdout.write((line if line.isprintable() else _escaped(line)) + "\n")


def metrics(
    counts: Mapping[str, int], milliseconds: Mapping[str, float], function_name: str, trigger: str, **details: Any
) -> None:
    """Write one embedded metric record; `details` are searchable, not metrics.

    Its dimensions are the function, which alarms need (they cannot sum over triggers), and function with trigger.
    """
    log(
        "INFO",
        "invocation",
        _aws={
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": _declared(*counts, milliseconds=tuple(milliseconds)),
        },
        function_name=function_name,
        trigger=trigger,
        **counts,
        **{name: round(value, 3) for name, value in milliseconds.items()},
        **details,
    )


@cache
def _declared(*counts: str, milliseconds: tuple[str, ...]) -> list[dict[str, Any]]:
    declared = [{"Name": name, "Unit": "Count"} for name in counts]
    declared += [{"Name": name, "Unit": "Milliseconds"} for name in milliseconds]
    dimensions = [["function_name"], ["function_name", "trigger"]]
    return [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": declared}]


def _escaped(line: str) -> str:
    """Escape what some reader of logs would take for the end of a line (U+0085, U+2028) or obey (U+009B)."""
    import json

    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)
