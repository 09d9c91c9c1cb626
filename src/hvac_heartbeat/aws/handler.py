"""`lambda_handler`: the wiring, built at the first invocation and kept by the container."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hvac_heartbeat import telemetry
from hvac_heartbeat.aws.answers import echo
from hvac_heartbeat.aws.triggers import recognise
from hvac_heartbeat.errors import EventRefused, SettingsError, StoreUnavailable
from hvac_heartbeat.ingest import Outcome, Verdict, ingest
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.connection import Database
from hvac_heartbeat.store.device_state import DeviceState

if TYPE_CHECKING:
    from hvac_heartbeat.aws.triggers.base import Trigger

_ANSWER_RESERVE_S = 0.5  # kept back of the invocation's time, to phrase the answer and write the log line
_DEFAULT_TIME_S = 30.0
_COUNTED = [(verdict.name.lower(), verdict) for verdict in Verdict]


class Container:
    """What lives as long as one Lambda execution environment: the settings and the database.

    Raises:
        SettingsError: when the environment cannot be used.
    """

    def __init__(self) -> None:
        """Read the settings; the database is connected to at the first write."""
        self.settings = Settings.from_environment(os.environ)
        self.database = Database(self.settings)
        self.store = DeviceState(self.database, new_devices=self.settings.new_devices == "accept")


_container: Container | None = None
_cold = True


def reset() -> None:
    """Forget the container's connection and settings, as a new execution environment would."""
    global _container, _cold
    if _container is not None:
        _container.database.close()
    _container, _cold = None, True


def lambda_handler(event: object, context: object) -> object:
    """Take an event of any trigger, write its heartbeats and answer in the trigger's own form.

    Bad input is never an exception: it is told in the answer.

    Raises:
        StoreUnavailable: when heartbeats were not written and the caller should send the event again.
    """
    global _cold  # noqa: PLW0603 - as above
    started = time.perf_counter()
    trigger = recognise(event)
    outcome = Outcome(())
    refusal: EventRefused | None = None
    try:
        outcome = _ingest(trigger, context)
        return trigger.answer(outcome)
    except EventRefused as refused:
        refusal = refused
        return trigger.refuse(refused)
    finally:
        _log(trigger, outcome, refusal, context, started)
        _cold = False


def _ingest(trigger: Trigger, context: object) -> Outcome:
    global _container  # noqa: PLW0603 - as above
    if _container is None:
        try:
            _container = Container()
        except SettingsError as error:
            # Nothing is known of the heartbeats, and all of them are worth a retry once the settings are mended.
            return Outcome((), failure=StoreUnavailable(str(error)))
    _container.database.milliseconds = 0.0
    records = trigger.records(_container.settings)
    return ingest(records, _container.store, _deadline(context), limit=trigger.limit)


def _deadline(context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 if remaining is not None else _DEFAULT_TIME_S
    return time.monotonic() + max(seconds - _ANSWER_RESERVE_S, 0.0)


def _log(
    trigger: Trigger,
    outcome: Outcome,
    refusal: EventRefused | None,
    context: object,
    started: float,
) -> None:
    for found in outcome.rejected[: telemetry.REJECTION_LINES]:
        telemetry.log(
            "WARNING",
            "heartbeat rejected",
            record=outcome.records[outcome.owners[found.index]].id,
            index=found.index,
            device_id=echo(found.device_id),
            field=found.field,
            reason=found.reason,
        )
    database_ms = _container.database.milliseconds if _container is not None else 0.0
    telemetry.metrics(
        {name: outcome.count(verdict) for name, verdict in _COUNTED} | {"ignored_fields": len(outcome.ignored)},
        {"database_ms": database_ms, "total_ms": (time.perf_counter() - started) * 1000},
        getattr(context, "function_name", "local"),
        trigger.name,
        request_id=getattr(context, "aws_request_id", None),
        cold_start=_cold,
        **({} if refusal is None else {"refused": refusal.status}),
        **({} if outcome.failure is None else {"failure": str(outcome.failure), "sqlstate": outcome.failure.sqlstate}),
    )
