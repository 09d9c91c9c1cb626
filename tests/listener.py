"""A listener that counts who connects to it: the proof that something connects nowhere."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# This machine, in a spelling that does not look like it.
DISGUISED_HOST = "127.1"


class Listener:
    """Takes connections on a free port of 127.0.0.1, counts them and closes them at once."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._count, daemon=True)

    def environment(self, host: str = DISGUISED_HOST) -> dict[str, str]:
        """Return the DB_* variables that lead the function here."""
        return {"DB_HOST": host, "DB_PORT": str(self.port), "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "x"}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # shut down
                return
            self.connections += 1
            connection.close()
