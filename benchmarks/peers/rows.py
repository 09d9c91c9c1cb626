"""A statement per row, which is what most such functions do."""

from __future__ import annotations

from typing import Any

import psycopg

from benchmarks.peers import ONE_ROW, bodies, values


class ConnectionPerCall:
    """Opens a connection for each call, writes row by row, commits, closes."""

    name = "row by row, new connection"
    reconnects = True

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def write(self, event: dict[str, Any]) -> None:
        """Write the heartbeats in one transaction."""
        with psycopg.connect(self._conninfo, prepare_threshold=None) as connection:
            for body in bodies(event):
                connection.execute(ONE_ROW, values(body))

    def close(self) -> None:
        """Nothing is kept."""


class WarmConnection:
    """Keeps the connection between calls, as a module-level global does in Lambda."""

    name = "row by row, warm"
    reconnects = False

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, prepare_threshold=None)

    def write(self, event: dict[str, Any]) -> None:
        """Write the heartbeats in one transaction."""
        for body in bodies(event):
            self._connection.execute(ONE_ROW, values(body))
        self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class ExecuteMany:
    """Leaves the loop to the driver, which pipelines the statements."""

    name = "executemany"
    reconnects = False

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, prepare_threshold=None)

    def write(self, event: dict[str, Any]) -> None:
        """Write the heartbeats in one transaction."""
        with self._connection.cursor() as cursor:
            cursor.executemany(ONE_ROW, [values(body) for body in bodies(event)])
        self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
