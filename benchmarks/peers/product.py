"""The product itself: the event as Lambda hands it over, the answer as Lambda takes it."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

from hvac_heartbeat.aws import handler


class Handler:
    """`lambda_handler` in a warm container of its own; its log line goes to /dev/null.

    With an `event` of its own it sends that one whatever it is given, so that several events can race.
    """

    name = "lambda_handler"
    reconnects = False

    def __init__(self, name: str = name, event: dict[str, Any] | None = None) -> None:
        self.name = name
        self._event = event
        self._container: handler.Container | None = None
        self._log = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the peer
        self._silence = contextlib.redirect_stdout(self._log)

    def write(self, event: dict[str, Any]) -> Any:
        """Hand the event over."""
        handler._container = self._container  # noqa: SLF001 - several execution environments in one interpreter
        with self._silence:
            answer = handler.lambda_handler(self._event or event, None)
        self._container = handler._container  # noqa: SLF001 - as above
        return answer

    def flush_statistics(self) -> None:
        """Let the server count now what it would count within a second (PostgreSQL manual, Monitoring Statistics)."""
        if self._container is not None:
            self._container.database.run("SELECT pg_stat_force_next_flush()", math.inf)

    def close(self) -> None:
        """Close the connection."""
        handler._container = None  # noqa: SLF001 - as above
        if self._container is not None:
            self._container.database.close()
        self._log.close()
