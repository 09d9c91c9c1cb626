"""What is logged of one invocation: a line for each rejection, up to a number, and one with the counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hvac_heartbeat import telemetry
from hvac_heartbeat.aws.answers import echo
from hvac_heartbeat.outcome import Verdict

if TYPE_CHECKING:
    from hvac_heartbeat.aws.triggers.base import Trigger
    from hvac_heartbeat.errors import EventRefused, StoreUnavailable
    from hvac_heartbeat.outcome import Outcome

_COUNTED = [(verdict.name.lower(), verdict) for verdict in Verdict]
_RECORD_NAME_LIMIT = 384  # characters; a Kafka topic's name takes 249, a Kinesis sequence number 56


class InvocationLog:
    """Measures an invocation from here on; what it was refused or failed with is noted before it is written.

    It keeps no exception: with its traceback that would hold on to the event, in a circle, until the garbage collector
    comes by.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._trouble: dict[str, object] = {}

    def note_refusal(self, refusal: EventRefused) -> None:
        """Note why the whole event was not taken."""
        self._trouble = {"refused": refusal.status}

    def note_failure(self, failure: StoreUnavailable) -> None:
        """Note why something is to be sent again."""
        self._trouble = {
            "failure": str(failure),
            "sqlstate": failure.sqlstate,
            "database": failure.where,
            "cause": failure.cause,
        }

    def write(self, trigger: Trigger, context: object, *, database_ms: float, cold_start: bool) -> None:
        """Write the lines."""
        outcome = trigger.outcome
        if outcome.rejected.count:
            _log_rejections(outcome)
        if outcome.failure is not None:
            self.note_failure(outcome.failure)
        if outcome.ledger is not None:
            self._trouble["ledger"] = outcome.ledger
        telemetry.metrics(
            {name: outcome.count(verdict) for name, verdict in _COUNTED}
            | {"ignored_fields": outcome.ignored.count, **trigger.counts},
            {"database_ms": database_ms, "total_ms": (time.perf_counter() - self._started) * 1000},
            getattr(context, "function_name", None) or "local",
            trigger.name,
            request_id=getattr(context, "aws_request_id", None),
            cold_start=cold_start,
            **self._trouble,
        )


def _log_rejections(outcome: Outcome) -> None:
    for complaint in outcome.rejected.first[: telemetry.REJECTION_LINES]:
        telemetry.log(
            "WARNING",
            "heartbeat rejected",
            record=echo(outcome.record_ids[outcome.owners[complaint.index]], _RECORD_NAME_LIMIT),
            index=complaint.index,
            device_id=echo(complaint.device_id),
            field=complaint.field,
            reason=complaint.reason,
        )
    unsaid = outcome.rejected.count - telemetry.REJECTION_LINES
    if unsaid > 0:
        telemetry.log("WARNING", "more heartbeats rejected", count=unsaid)
