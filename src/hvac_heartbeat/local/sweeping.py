"""Sweeps every few seconds in a thread, as the function's schedule does every minute, and says what is told."""

from __future__ import annotations

import time
import traceback
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from hvac_heartbeat.aws.delivery import channels_of
from hvac_heartbeat.aws.sweep import Sweeper
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.local.read_model.answers import Message
    from hvac_heartbeat.local.read_model.model import ReadModel
    from hvac_heartbeat.settings import Settings

_PATIENCE_S: Final = 4.0  # for a sweep; while the database is away, so long passes before it is said
_DELIVERY_S: Final = 10.0


class Sweeping:
    """Sweeps from `with` to its end. The database may go and come, and each is said once.

    `say` is given a line, `tell` each new message, whoever wrote it; with `is_away` it was said already that the
    database is gone. `swept_at` is when the last sweep came to its end.
    """

    def __init__(
        self,
        settings: Settings,
        model: ReadModel,
        every_s: float,
        *,
        say: Callable[[str], None],
        tell: Callable[[Message], None],
        is_away: bool = False,
    ) -> None:
        self._database = Database(settings)
        self._sweeper = Sweeper(self._database, settings.channels)
        self._patience_s = _PATIENCE_S + (_DELIVERY_S if channels_of(settings.channels) else 0)
        self._model = model
        self._every_s = every_s
        self._say, self._tell = say, tell
        self._is_failing = is_away
        self._newest: int | None = None
        self.swept_at: datetime | None = None
        self._end = Event()
        self._thread = Thread(target=self._run, name="sweep", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._thread.join(self._patience_s)
        self._database.close()

    def _run(self) -> None:
        while not self._end.is_set():
            started = time.monotonic()
            try:
                self._sweep(started)
            except StoreUnavailable as error:
                self._note_failure(error)
            except Exception:  # noqa: BLE001 - whatever one sweep stumbles over, the next one is due
                traceback.print_exc()
            self._end.wait(max(0, started + self._every_s - time.monotonic()))

    def _sweep(self, started: float) -> None:
        if self._newest is None:
            self._newest = self._model.newest_message()
        self._sweeper.run(started + self._patience_s)
        self.swept_at = datetime.now(UTC)
        if self._is_failing:
            self._is_failing = False
            self._say("Sweeping again")
        if self._newest is not None:
            for message in self._model.messages_since(self._newest):
                self._newest = message.id
                self._tell(message)

    def _note_failure(self, error: StoreUnavailable) -> None:
        if not self._is_failing and not self._end.is_set():
            self._is_failing = True
            self._say(f"No sweep for now: {error.in_full}")
