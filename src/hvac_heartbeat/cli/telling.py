"""`hvac-heartbeat sweep`, `episodes` and `messages`: judge now, and look at what was told."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from rich import box
from rich.table import Table

from hvac_heartbeat.cli.arguments import Site
from hvac_heartbeat.cli.database import opened, told_of_rights
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.output import cell, console, duration, moment, printable, show
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATEMENTS = Path(__file__).with_suffix(".sql")
_PATIENCE_S = 60.0

Limit = Annotated[int, typer.Option(min=1, metavar="COUNT", help="Show no more than this many.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sweep(
    *,
    deliver: Annotated[bool, typer.Option("--deliver", help="Deliver messages to HEARTBEAT_EVENT_BUS, …")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge who is silent, write what is to be told, and print it.

    Anyone may run it at any time, beside the function's schedule too. Messages go out by the function's next sweep, or
    at once with --deliver.
    """
    settings = Settings.from_environment(os.environ)
    with _outbox(settings) as connection:
        [before] = _rows(connection, "newest_message")
        [found] = _rows(connection, "sweep", settings.channels.canary)
        written = _rows(connection, "messages_since", before["id"])
    if as_json:
        _print_json(found | {"written": written})
    else:
        _say(found, written)
    if deliver:
        _deliver(settings)


def episodes(
    *,
    site: Site = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that last.")] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List what was told, or is to be told, of devices that fell silent; the newest first."""
    with _outbox(Settings.from_environment(os.environ)) as connection:
        found = _rows(connection, "episodes", site, is_open, limit)
    if as_json:
        _print_json(found)
    elif not found:
        console.print("There is no episode: nobody was silent for long enough to be told of.")
    else:
        headings = ("device", "site", "silent since", "told", "back since", "lasted", "flapping")
        _table(
            headings,
            [
                (row["device_id"], row["site_id"], row["silent_from"], row["told"], _back(row), row["lasted"],
                 "yes" if row["is_flapping"] else None)
                for row in found
            ],
        )  # fmt: skip


def messages(
    *,
    site: Site = None,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only those that no channel has.")] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List the messages, the newest first, and which channels have them."""
    with _outbox(Settings.from_environment(os.environ)) as connection:
        found = _rows(connection, "messages", site, undelivered, limit)
    if as_json:
        _print_json(found)
    elif not found:
        console.print("There is no message.")
    else:
        for row in found:
            channels = ", ".join(row["delivered_to"]) or f"nobody yet, {row['attempts']} failed attempts"
            console.print(f"{moment(row['created_at'])}  {row['kind']}  ({channels})", markup=False, soft_wrap=True)
            console.print(f"  {printable(row['text'])}", markup=False, soft_wrap=True)


def _say(found: dict[str, Any], written: Sequence[dict[str, Any]]) -> None:
    if found["is_skipped"]:
        console.print("Another sweep is running; it does the same work.")
        return
    counts = "{devices} devices, {stale} stale; {opened} fell silent, {closed} are back."
    console.print(counts.format_map(found))
    if found["is_fleet_silent"]:
        console.print("Almost nobody of the fleet is heard: no device is told of while this lasts.")
    for row in written:
        console.print(f"{row['kind']}: {printable(row['text'])}", markup=False, soft_wrap=True)


def _deliver(settings: Settings) -> None:
    from hvac_heartbeat.aws.delivery import channels_of, deliver

    channels = channels_of(settings.channels)
    if not channels:
        raise DatabaseRefused("set HEARTBEAT_EVENT_BUS, HEARTBEAT_SNS_TOPIC or HEARTBEAT_WEBHOOK_URL to deliver to it")
    database = Database(settings)
    try:
        delivered, failed = deliver(Telling(database), channels, time.monotonic() + _PATIENCE_S)
    finally:
        database.close()
    console.print(f"{delivered} delivered, {failed} failed.")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _outbox(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with opened(settings) as connection:
        try:
            with told_of_rights(connection, "SELECT"):
                yield connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction) as error:
            raise DatabaseRefused("nobody is told of silence here: `hvac-heartbeat migrate` makes it so") from error


def _rows(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> list[dict[str, Any]]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(queries(_STATEMENTS)[statement].encode(), parameters).fetchall()


def _back(row: dict[str, Any]) -> object:
    return row["returned_at"] or ("not yet" if row["closed_at"] is None else None)


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell(heading, value) for heading, value in zip(headings, row, strict=True)))
    show(table)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return duration(value)
    raise TypeError(type(value))
