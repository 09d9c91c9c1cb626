"""The least that is possible: the same upsert with nothing before and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.peers import COLUMNS, INSERT, ON_CONFLICT, bodies, values

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES = ("text", "text", "text", "text", "float8", "float8", "int", "int", "timestamptz")


class ServerSideFloor:
    """The rows are in the server already, in a table of their own: no parsing, no transfer, no answer."""

    name = "floor (server-side)"
    reconnects = False

    def __init__(self, conninfo: str, event: dict[str, Any]) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))
        self._connection.execute(f"CREATE TEMPORARY TABLE staged ({columns})".encode())
        with self._connection.cursor() as cursor, cursor.copy("COPY staged FROM STDIN") as copy:
            for body in bodies(event):
                copy.write_row(values(body))
        self._connection.execute("ANALYZE staged")
        self._statement = f"{INSERT} SELECT {', '.join(COLUMNS)}, now(), now() FROM staged {ON_CONFLICT}".encode()  # noqa: S608 - names of ours

    def write(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - it is staged
        """Write the staged rows."""
        self._connection.execute(self._statement)

    def close(self) -> None:
        """Close the connection, and with it the staged table."""
        self._connection.close()


class BareDriver:
    """The driver executing a plain typed single-row upsert, its parameters at hand, connected as the handler is."""

    name = "bare driver"
    reconnects = False

    def __init__(self, conninfo: str, event: dict[str, Any]) -> None:
        self._connection = psycopg.connect(
            conninfo, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.RawCursor
        )
        marks = ", ".join(f"${index}::{kind}" for index, kind in enumerate(TYPES, start=1))
        self._statement = f"{INSERT} VALUES ({marks}, now(), now()) {ON_CONFLICT}".encode()
        self._parameters: Sequence[Any] = values(event)

    def write(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - its parameters are at hand
        """Write the one row."""
        self._connection.execute(self._statement, self._parameters)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
