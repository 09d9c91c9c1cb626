"""Events, and a clock, for the tests of the log that writes a record a minute."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.invocation_log import InvocationLog
from hvac_heartbeat.aws.triggers.base import Direct, Trigger
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.outcome import Complaint, Complaints, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

TENTH = 0.1
CONTEXT = SimpleNamespace(function_name="hvac-heartbeat-updater", aws_request_id="11111111-2222-3333-4444-555555555555")
START = 1_790_000_000.0


class Clock:
    """The time that a log looks at."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now


def trigger(
    kind: Callable[[Any], Trigger] = Direct, verdicts: tuple[Verdict, ...] = (Verdict.UPDATED,), ignored: int = 0
) -> Trigger:
    """Return an event of a trigger with what became of it."""
    found = kind({})
    rejected = [
        Complaint("site_id", "is missing", index) for index, one in enumerate(verdicts) if one is Verdict.REJECTED
    ]
    found.outcome = Outcome(
        record_ids=["event"],
        owners=[0] * len(verdicts),
        device_ids=["d"] * len(verdicts),
        verdicts=[*verdicts],
        rejected=Complaints(len(rejected), rejected),
        ignored=Complaints(ignored),
        failure=StoreUnavailable("away") if Verdict.FAILED in verdicts else None,
    )
    return found


def trouble(**outcome: Any) -> Trigger:
    """Return an event whose heartbeats, if it had any, went well."""
    found = trigger(verdicts=())
    found.outcome = Outcome(**outcome)
    return found


def add(log: InvocationLog, found: Trigger, total_ms: float = 2.0, *, each: bool = False) -> None:
    log.add(found, CONTEXT, refused=None, each=each, database_ms=total_ms / 2, total_ms=total_ms)


def warm(clock: Clock) -> InvocationLog:
    """Return the log of a container that has just logged its cold start."""
    log = InvocationLog()
    add(log, trigger())
    clock.now += TENTH
    return log


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
