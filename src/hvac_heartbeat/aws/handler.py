"""`lambda_handler`: the wiring, built at the first invocation and kept by the container."""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING

from hvac_heartbeat.aws.health import Health
from hvac_heartbeat.aws.invocation_log import InvocationLog
from hvac_heartbeat.aws.triggers import recognise
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.errors import EventRefused, SettingsError, StoreUnavailable
from hvac_heartbeat.outcome import Outcome
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.credentials import prepare
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from hvac_heartbeat.aws.sweep import Sweeper

# Kept back of the invocation's time, or half of that where it is short: 10,000 heartbeats that all have something to
# complain of take 0.8 s of 128 MB's part of a processor to answer and to log.
_ANSWER_RESERVE_S = 1.5
_DEFAULT_TIME_S = 30.0


class Container:
    """What lives as long as one Lambda execution environment; raises SettingsError where that cannot be used."""

    def __init__(self) -> None:
        self.settings = Settings.from_environment(os.environ)
        self.database = Database(self.settings)
        self.writer = Writer(DeviceState(self.database, new_devices=self.settings.new_devices == "accept"))
        self.health = Health(self.database)

    @cached_property
    def sweeper(self) -> Sweeper:
        """The container's sweeps, which are imported only where a schedule ticks."""
        from hvac_heartbeat.aws.sweep import Sweeper

        return Sweeper(self.database, self.settings.channels)


_container: Container | None = None
_log = InvocationLog()
# The one look at the environment at import, because an import is all that has INIT's full core.
prepare(os.environ)


def reset() -> None:
    """Forget the container's connection and settings, as a new execution environment would."""
    global _container  # noqa: PLW0603 - what lives as long as the process
    if _container is not None:
        _container.database.close()
    _container = None
    _log.reset()


def lambda_handler(event: object, context: object) -> object:
    """Take an event of any trigger, write its heartbeats and answer in the trigger's own form.

    Bad input is never an exception: the answer names it. Raises StoreUnavailable when heartbeats were not written and
    the caller should send the event again.
    """
    started = time.perf_counter()
    trigger = recognise(event)
    refused: int | None = None
    try:
        return trigger.handle(_get_container, _deadline(trigger, context))
    except EventRefused as refusal:
        refused = refusal.status
        return trigger.refuse(refusal)
    except SettingsError as error:
        # Nothing is known of the heartbeats, and all of them are worth a retry once the settings are mended.
        return trigger.fail(StoreUnavailable(str(error)))
    finally:
        _finish(trigger, context, refused, started)


def _get_container() -> Container:
    global _container  # noqa: PLW0603 - what lives as long as the process
    if _container is None:
        _container = Container()
    return _container


def _deadline(trigger: Trigger, context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 if remaining is not None else _DEFAULT_TIME_S
    seconds = min(seconds, trigger.caller_timeout_s)
    return time.monotonic() + seconds - min(_ANSWER_RESERVE_S, seconds / 2)


def _finish(trigger: Trigger, context: object, refused: int | None, started: float) -> None:
    """Log the invocation, and let go of the event."""
    database_ms = 0.0
    each = _container is None or _container.settings.log == "each"
    if _container is not None:
        # Back to zero here, because an invocation that is refused early asks for no container.
        database_ms, _container.database.milliseconds = _container.database.milliseconds, 0.0
    total_ms = (time.perf_counter() - started) * 1000
    _log.add(trigger, context, refused=refused, each=each, database_ms=database_ms, total_ms=total_ms)
    if trigger.outcome.failure is not None:
        _let_go(trigger.outcome.failure)
        trigger.outcome = Outcome()


def _let_go(failure: BaseException | None) -> None:
    """Empty the frames of a failure's traceback, which hold the event's heartbeats, and by them the failure itself.

    The garbage collector would find such a circle, but only after several more of them: too late at 128 MB.
    """
    import traceback  # few invocations fail

    while failure is not None:
        traceback.clear_frames(failure.__traceback__)
        failure = failure.__cause__ or failure.__context__
