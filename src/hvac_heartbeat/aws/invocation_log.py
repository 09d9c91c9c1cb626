"""JSON lines on standard output, where Lambda collects them: of each rejection, up to a number, and of invocations.

The latter double as CloudWatch embedded metric records ("Specification: Embedded metric format", Amazon CloudWatch User
Guide). No line holds a body or a secret, and no dimension holds a device.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from functools import cache
from typing import Any

import msgspec

from hvac_heartbeat.aws.answers import echo
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.outcome import Outcome, Verdict

NAMESPACE = "HvacHeartbeat"
REJECTION_LINES = 20
RECORD_INVOCATIONS = 100  # the most values that a metric may have in one record
# A clean invocation takes 15 ms at 128 MB with one heartbeat, 165 with 1,000: it is one of over 6,000 that takes a
# second, and there a line weighs nothing.
SLOW_MS = 1_000.0
_MINUTE_S = 60
_RECORD_NAME_LIMIT = 384  # characters; a Kafka topic's name takes 249, a Kinesis sequence number 56
_VERDICTS = [(verdict.name.lower(), verdict) for verdict in Verdict]
_MILLISECONDS = ("database_ms", "total_ms")

_encode = msgspec.json.Encoder(enc_hook=str).encode


class InvocationLog:
    """What a container says of its invocations: a line each, or a metric record a minute for those that went well.

    A record is of one minute of the clock, because CloudWatch keeps metrics by it: so none gets into another minute.
    """

    def __init__(self) -> None:
        self._watches = False
        self.reset()

    def reset(self) -> None:
        """Forget what is held, as a new container would."""
        self._is_cold = True
        self._minute = 0
        self._function_name = ""
        self._held: dict[str, list[tuple[int, int, float, float]]] = {}  # by trigger

    def add(
        self,
        trigger: Trigger,
        context: object,
        *,
        refused: int | None,
        each: bool,
        database_ms: float,
        total_ms: float,
    ) -> None:
        """Log what became of an event, or hold it for the record of its minute.

        `refused` is the status with which it was not taken at all.
        """
        minute = int(time.time() // _MINUTE_S)
        # A container that is new, or had nothing to do for a minute, may hold this for long.
        at_once = each or minute - self._minute > 1
        if minute != self._minute:
            self.flush()
            self._minute = minute
        verdicts = trigger.outcome.verdicts
        updated, outdated = verdicts.count(Verdict.UPDATED), verdicts.count(Verdict.OUTDATED)
        went_well = updated + outdated == len(verdicts) and refused is None and not _has_more_to_say(trigger)
        if at_once or not went_well or total_ms > SLOW_MS:
            cold_start, self._is_cold = self._is_cold, False
            self._function_name = _name_function(context)
            log_invocation(
                trigger, context, refused=refused, cold_start=cold_start, database_ms=database_ms, total_ms=total_ms
            )
            return
        if not self._watches:
            self._watch()
        held = self._held.setdefault(trigger.name, [])
        held.append((updated, outdated, database_ms, total_ms))
        if len(held) == RECORD_INVOCATIONS:
            self.flush()

    def flush(self) -> None:
        """Write a record for each trigger whose invocations are held."""
        held, self._held = self._held, {}
        for trigger, invocations in held.items():
            updated, outdated, database_ms, total_ms = zip(*invocations, strict=True)
            counts = {name: 0 for name, _ in _VERDICTS} | {"ignored_fields": 0}
            counts |= {"updated": sum(updated), "outdated": sum(outdated)}
            log(
                "INFO",
                "invocations",
                _aws=_metadata(self._minute * _MINUTE_S * 1000, tuple(counts)),
                function_name=self._function_name,
                trigger=trigger,
                **counts,
                # Each by itself, so that percentiles come out as if every invocation had said its own.
                database_ms=[round(one, 3) for one in database_ms],
                total_ms=[round(one, 3) for one in total_ms],
            )

    def _watch(self) -> None:
        """Write what is held when Lambda ends the container with SIGTERM, and let that do what it did before."""
        self._watches = True
        if threading.current_thread() is not threading.main_thread():  # as in `serve`
            return
        before = signal.getsignal(signal.SIGTERM)

        def end(number: int, _: object) -> None:
            self.flush()
            sys.stdout.flush()
            signal.signal(number, before or signal.SIG_DFL)
            signal.raise_signal(number)

        signal.signal(signal.SIGTERM, end)


def _has_more_to_say(trigger: Trigger) -> bool:
    """Say whether there is more to log of an event than how many heartbeats were written."""
    outcome = trigger.outcome
    more = outcome.ignored.count or outcome.failure or outcome.ledger or trigger.counts
    return bool(more) or sys.exception() is not None  # an error of ours


def log_invocation(
    trigger: Trigger, context: object, *, refused: int | None, cold_start: bool, database_ms: float, total_ms: float
) -> None:
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
        _aws=_metadata(int(time.time() * 1000), tuple(counts)),
        function_name=_name_function(context),
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


def _name_function(context: object) -> str:
    return getattr(context, "function_name", None) or "local"


def _metadata(timestamp: int, counts: tuple[str, ...]) -> dict[str, Any]:
    return {"Timestamp": timestamp, "CloudWatchMetrics": _declare(counts)}


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
