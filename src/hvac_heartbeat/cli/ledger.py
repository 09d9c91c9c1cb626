"""The commands' way to the ledger of silence: its statements, its rows as JSON, and one line where it is missing."""

from __future__ import annotations

import difflib
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from hvac_heartbeat.cli.database import opened, rows_of, told_of_rights
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.output import console, printable, rows_table, show
from hvac_heartbeat.local.json_form import plain
from hvac_heartbeat.local.read_model import STATEMENTS
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TABLE_ROWS = 20  # without --limit: what a terminal shows at once
_RULING = "SELECT, INSERT, UPDATE, DELETE"
_ALIKE = 3  # names that are shown in place of one that was never heard
_OWN = Path(__file__).with_name("liveness.sql")


class Ledger:
    """An open connection to a database that should have the ledger."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run a statement of the read model or of liveness.sql and return its rows by column name."""
        named = queries(STATEMENTS) | queries(_OWN)
        sql = named[statement].replace("{silences}", named["silences"])
        with told_of_rights(self._connection, "SELECT" if sql.startswith("SELECT") else _RULING):
            return rows_of(self._connection, sql, parameters)

    def row(self, statement: str, *parameters: object) -> dict[str, Any]:
        """Run a statement that answers one row; empty where there is none."""
        return next(iter(self.rows(statement, *parameters)), {})

    @property
    def is_there(self) -> bool:
        """Whether the database has a ledger at all."""
        return bool(self.row("has_ledger")["has_ledger"])

    def near(self, what: str, wanted: str) -> str:
        """Say that nothing of this `what` (device, site) is stored, with the names that look like it."""
        names = [row["name"] for row in self.rows(f"near_{what}s", wanted)]
        longer = [one for one in names if one.lower().startswith(wanted.lower())]
        alike = longer[:_ALIKE] or difflib.get_close_matches(wanted, names, n=_ALIKE)
        hint = f"; there is {', '.join(alike)}" if alike else ""
        return printable(f"no heartbeat of {what} {wanted} is stored{hint}")


@contextmanager
def ledger(missing: str = "there is no ledger of silence here") -> Iterator[Ledger]:
    """Open the database that DB_* names; `missing` says what a database lacks that `migrate` has not been run on.

    Raises:
        DatabaseRefused: also for want of the ledger or of a right on it, with what to do about it.
    """
    with opened(Settings.from_environment(os.environ)) as connection:
        try:
            yield Ledger(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction) as error:
            raise DatabaseRefused(f"{missing}: `hvac-heartbeat migrate` makes it") from error


def refuse_unknown(found: Ledger, site: str | None, device: str | None = None) -> None:
    """Refuse a name of which no heartbeat is stored, where an empty answer would read as good news.

    Raises:
        DatabaseRefused: with the names that look like it.
    """
    for what, wanted in (("site", site), ("device", device)):
        if wanted is not None and not found.row(f"is_known_{what}", wanted)["is_known"]:
            raise DatabaseRefused(found.near(what, wanted))


def warn_if_unknown(found: Ledger, site: str | None, device: str | None) -> None:
    """Say on standard error where nobody of this name was ever heard: a misspelt one has no effect."""
    for what, wanted in (("site", site), ("device", device)):
        if wanted is not None and not found.row(f"is_known_{what}", wanted)["is_known"]:
            typer.echo(f"note: {found.near(what, wanted)}", err=True)


def print_json(value: object) -> None:
    """Print what the database answered as JSON."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def fetched(limit: int | None, *, as_json: bool) -> int | None:
    """Return how many rows to ask for: what will be printed, and one more to know whether that is all."""
    if as_json:
        return limit
    return (limit or TABLE_ROWS) + 1


def show_bounded(
    found: Sequence[dict[str, Any]],
    limit: int | None,
    headings: Mapping[str, str],
    *always: str,
    total: int | None = None,
) -> None:
    """Print rows as a table of `limit` of them, or of TABLE_ROWS, and say where there are more: `total` in all."""
    show(rows_table(found[: limit or TABLE_ROWS], always=always, headings=headings))
    say_whether_more(found, limit, total)


def say_whether_more(found: Sequence[object], limit: int | None, total: int | None = None) -> None:
    """Say that there are more rows than were printed, `total` in all, where there are."""
    bound = limit or TABLE_ROWS
    if len(found) > bound:
        console.print(f"The first {bound} of {total or 'more'}; --limit COUNT shows others.", soft_wrap=True)
