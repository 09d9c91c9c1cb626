"""How times and lengths of time are read from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import DataError
from psycopg.types.datetime import TimestamptzLoader

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg
    from psycopg.abc import Buffer

_READ: Final = {"DateStyle": "ISO", "IntervalStyle": "postgres"}


class _TimeLoader(TimestamptzLoader):
    """Reads a time that Python has none for (infinity, a year of five digits or before the first) as None."""

    def load(self, data: Buffer) -> datetime | None:  # type: ignore[override]
        try:
            return super().load(data)
        except DataError:
            return None


def set_formats(connection: psycopg.Connection[Any]) -> None:
    """Have the driver read every time; it knows one style of each, and the role or the database may have others."""
    connection.adapters.register_loader("timestamptz", _TimeLoader)
    for name, style in _READ.items():
        if (connection.info.parameter_status(name) or style).split(",")[0] != style:
            connection.execute(f"SET {name} = {style}".encode())
