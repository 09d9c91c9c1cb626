"""`lambda_handler`: the wiring, built at the first invocation and kept by the container."""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import TYPE_CHECKING

from hvac_heartbeat import telemetry
from hvac_heartbeat.aws.answers import echo
from hvac_heartbeat.aws.health import Health
from hvac_heartbeat.aws.sweep import sweep
from hvac_heartbeat.aws.triggers import recognise
from hvac_heartbeat.aws.triggers.eventbridge import Schedule
from hvac_heartbeat.aws.triggers.http import Http
from hvac_heartbeat.errors import EventRefused, SettingsError, StoreUnavailable
from hvac_heartbeat.ingest import ingest
from hvac_heartbeat.outcome import Outcome, Verdict
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from hvac_heartbeat.aws.sweep import Swept
    from hvac_heartbeat.aws.triggers.base import Trigger

_ANSWER_RESERVE_S = 1.0  # kept back of the invocation's time, to phrase the answer and write the log line
_DEFAULT_TIME_S = 30.0
_COUNTED = [(verdict.name.lower(), verdict) for verdict in Verdict]
_RECORD_NAME_LIMIT = 384  # characters; a Kafka topic's name takes 249, a Kinesis sequence number 56


class Container:
    """What lives as long as one Lambda execution environment: the settings and the database.

    Raises:
        SettingsError: when the environment cannot be used.
    """

    def __init__(self) -> None:
        """Read the settings; the database is connected to at the first write."""
        self.settings = Settings.from_environment(os.environ)
        self.database = Database(self.settings)
        self.writer = Writer(DeviceState(self.database, new_devices=self.settings.new_devices == "accept"))
        self.health = Health(self.database)


class Account:
    """What is to be logged of one invocation."""

    def __init__(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()
        self.outcome = Outcome()
        self.refusal: EventRefused | None = None
        self.failure: StoreUnavailable | None = None
        self.swept: Swept | None = None


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
    trigger = recognise(event)
    account = Account()
    try:
        return _answer(trigger, context, account)
    except EventRefused as refusal:
        account.refusal = refusal
        return trigger.refuse(refusal)
    except StoreUnavailable as failure:
        account.failure = failure
        raise
    finally:
        _log(trigger, account, context)
        _cold = False


def _answer(trigger: Trigger, context: object, account: Account) -> object:
    trigger.check()
    deadline = _deadline(trigger, context)
    try:
        container = _warm()
    except SettingsError as error:
        # Nothing is known of the heartbeats, and all of them are worth a retry once the settings are mended.
        account.failure = StoreUnavailable(str(error))
        if isinstance(trigger, Http) and trigger.asks_for_health:
            return trigger.health(account.failure)
        return trigger.answer(Outcome(failure=account.failure))
    if isinstance(trigger, Http) and trigger.asks_for_health:
        account.failure = container.health.failure(deadline)
        return trigger.health(account.failure)
    if isinstance(trigger, Schedule):
        account.swept = sweep(container.database, deadline)
        return trigger.summary(account.swept)
    records = trigger.records(container.settings)
    account.outcome = ingest(records, container.writer, deadline, refuse_too_many=trigger.limit is not None)
    account.failure = account.outcome.failure
    return trigger.answer(account.outcome)


def _warm() -> Container:
    global _container  # noqa: PLW0603 - as above
    if _container is None:
        _container = Container()
    return _container


def _deadline(trigger: Trigger, context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 if remaining is not None else _DEFAULT_TIME_S
    return time.monotonic() + max(min(seconds, trigger.patience_s) - _ANSWER_RESERVE_S, 0.0)


def _log(trigger: Trigger, account: Account, context: object) -> None:
    outcome = account.outcome
    for found in islice(outcome.rejected, telemetry.REJECTION_LINES):
        telemetry.log(
            "WARNING",
            "heartbeat rejected",
            record=echo(outcome.record_ids[outcome.owners[found.index]], _RECORD_NAME_LIMIT),
            index=found.index,
            device_id=echo(found.device_id),
            field=found.field,
            reason=found.reason,
        )
    if outcome.rejected.count > telemetry.REJECTION_LINES:
        unsaid = outcome.rejected.count - telemetry.REJECTION_LINES
        telemetry.log("WARNING", "more heartbeats rejected", count=unsaid)
    database_ms = 0.0
    if _container is not None:
        # Back to zero here, because an invocation that is refused early asks for no container.
        database_ms, _container.database.milliseconds = _container.database.milliseconds, 0.0
    swept, failure, refusal = account.swept, account.failure, account.refusal
    telemetry.metrics(
        {name: outcome.count(verdict) for name, verdict in _COUNTED}
        | {"ignored_fields": outcome.ignored.count}
        | ({} if swept is None else {"fleet_devices": swept.fleet, "stale_devices": swept.stale}),
        {"database_ms": database_ms, "total_ms": (time.perf_counter() - account.started) * 1000},
        getattr(context, "function_name", None) or "local",
        trigger.name,
        request_id=getattr(context, "aws_request_id", None),
        cold_start=_cold,
        **({} if refusal is None else {"refused": refusal.status}),
        **({} if failure is None else _details(failure)),
    )


def _details(failure: StoreUnavailable) -> dict[str, str | None]:
    return {
        "failure": str(failure),
        "sqlstate": failure.sqlstate,
        "database": failure.where,
        "cause": failure.cause,
    }
