"""How times and lengths of time come from the database: the driver reads one form of each alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

_READ: Final = {"DateStyle": "ISO", "IntervalStyle": "postgres"}


def set_formats(connection: psycopg.Connection[Any]) -> None:
    """Ask for the forms that the driver reads, where the role or the database has others."""
    for name, form in _READ.items():
        if (connection.info.parameter_status(name) or form).split(",")[0] != form:
            connection.execute(f"SET {name} = {form}".encode())
