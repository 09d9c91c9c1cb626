"""JSON lines on standard output, where Lambda collects them: of each rejection, up to a number, and of the invocation.

The latter doubles as a CloudWatch embedded metric record ("Specification: Embedded metric format", Amazon CloudWatch
User Guide). No line holds a body or a secret, and no dimension holds a device.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any

import msgspec

from hvac_heartbeat.aws.answers import echo
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.outcome import Outcome, Verdict

NAMESPACE = "HvacHeartbeat"
REJECTION_LINES = 20
_RECORD_NAME_LIMIT = 384  # characters; a Kafka topic's name takes 249, a Kinesis sequence number 56
_VERDICTS = [(verdict.name.lower(), verdict) for verdict in Verdict]
_MILLISECONDS = ("database_ms", "total_ms")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def log_invocation(
    trigger: Trigger, context: object, *, refused: int | None, cold_start: bool, database_ms: float, total_ms: float
) -> None:
    """Log what became of an event; `refused` is the status with which it was not taken at all."""
    outcome = trigger.outcome
    if outcome.rejected.count:
        _log_rejections(outcome)
    counts = {name: outcome.verdicts.count(verdict) for name, verdict in _VERDICTS}
    counts |= {"ignored_fields": outcome.ignored.count, **trigger.counts}
    trouble: dict[str, Any] = {} if refused is None else {"refused": refused}
    if (failure := outcome.failure) is not None:
        trouble = {"failure": str(failure), "sqlstate": failure.sqlstate}
        trouble |= {"database": failure.where, "cause": failure.cause}
    if outcome.ledger is not None:
        trouble["ledger"] = outcome.ledger
    log(
        "INFO",
        "invocation",
        _aws={"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": _declare(tuple(counts))},
        function_name=getattr(context, "function_name", None) or "local",
        trigger=trigger.name,
        **counts,
        request_id=getattr(context, "aws_request_id", None),
        cold_start=cold_start,
        **trouble,
        database_ms=round(database_ms, 3),
        total_ms=round(total_ms, 3),
    )


def log(level: str, message: str, **details: Any) -> None:
    line = _encode({"level": level, "message": message, **details}).decode()
    clean = line.isascii() and "\x7f" not in line  # JSON has escaped the other control characters
    sys.stdout.write((line if clean or line.isprintable() else _escape(line)) + "\n")


@cache
def _declare(counts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Say which members are metrics, by function, which alarms need (they cannot sum over triggers), and by trigger."""
    names = (*counts, *_MILLISECONDS)
    metrics = [{"Name": name, "Unit": "Milliseconds" if name.endswith("_ms") else "Count"} for name in names]
    dimensions = [["function_name"], ["function_name", "trigger"]]
    return [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}]


def _log_rejections(outcome: Outcome) -> None:
    for complaint in outcome.rejected.first[:REJECTION_LINES]:
        log(
            "WARNING",
            "heartbeat rejected",
            record=echo(outcome.record_ids[outcome.owners[complaint.index]], _RECORD_NAME_LIMIT),
            index=complaint.index,
            device_id=echo(complaint.device_id),
            field=complaint.field,
            reason=complaint.reason,
        )
    more = outcome.rejected.count - REJECTION_LINES
    if more > 0:
        log("WARNING", "more heartbeats rejected", count=more)


def _escape(line: str) -> str:
    """Escape what some reader of logs would take for the end of a line (U+0085, U+2028) or obey (U+009B)."""
    import json

    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)
