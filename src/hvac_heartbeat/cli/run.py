"""`hvac-heartbeat run`: the two sample events through the handler into a real PostgreSQL, for everyone to see."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli.consent import ask_before_writing
from hvac_heartbeat.cli.database import is_database_named, opened, place, rows
from hvac_heartbeat.cli.invoke import invoke, read_event
from hvac_heartbeat.cli.ledger import Ledger
from hvac_heartbeat.cli.migrate import listed
from hvac_heartbeat.cli.output import answer_text, console, rows_table, show
from hvac_heartbeat.cli.silences import show_silences
from hvac_heartbeat.cli.stale import show_stale
from hvac_heartbeat.local.events import sample
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

EVENTS = ("single", "batch")
COLUMNS = ("device_id", "site_id", "status", "last_seen_ts")
ROWS_SHOWN = 20
SILENT_DEVICE = "hvac-silent-001"
SILENT_FOR = timedelta(minutes=5)
RETURNING_DEVICE = "hvac-002"  # of the sample batch
RETURNING_AFTER = timedelta(minutes=12)


def run(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing to another machine.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Show the function's log lines too.")] = False,
) -> None:
    """Send the two sample events through the Lambda handler and show the table, the stale devices and the silences.

    Without DB_HOST it starts a throwaway PostgreSQL, adds a device that has been silent for five minutes and one that
    comes back after twelve, and removes everything at the end. With DB_HOST it writes the four sample devices to that
    database and creates nothing else.
    """
    if is_database_named():
        _run_on_yours(yes=yes, logs=logs)
    else:
        with throwaway():
            _add_silent_devices()
            _send_and_show(Settings.from_environment(os.environ), logs=logs)
        console.print("\nThe throwaway PostgreSQL is removed. Set DB_HOST … to use your own.")


def _run_on_yours(*, yes: bool, logs: bool) -> None:
    settings = Settings.from_environment(os.environ)
    ask_before_writing(settings, yes=yes)
    console.print(f"Using the database that DB_* names: {place(settings)}", markup=False, soft_wrap=True)
    with opened(settings):  # says at once what the handler would only give up on
        pass
    _send_and_show(settings, logs=logs)


@contextmanager
def throwaway() -> Iterator[None]:
    """Point DB_* at a new server with the table and the view, and back again afterwards."""
    from hvac_heartbeat import schema
    from hvac_heartbeat.local.postgres import PostgresServer

    before = {name: value for name, value in os.environ.items() if name.startswith("DB_")}
    with ExitStack() as stack:
        with console.status("Starting a throwaway PostgreSQL …"):
            server = stack.enter_context(PostgresServer())
        try:
            _replace_environment(server.environment())
            with opened(Settings.from_environment(os.environ)) as connection:
                plan = schema.migrate(connection)
                console.print(f"Throwaway PostgreSQL {connection.info.server_version // 10_000}")
                console.print(f"Created {listed(plan.to_create)}")
            yield
        finally:
            handler.reset()
            _replace_environment(before)


def _add_silent_devices() -> None:
    _heartbeat(SILENT_DEVICE, "building-b", SILENT_FOR)
    console.print(f"Added {SILENT_DEVICE}, last seen five minutes ago, so that one device is stale")
    _heartbeat(RETURNING_DEVICE, "building-a", RETURNING_AFTER)
    console.print(f"Added {RETURNING_DEVICE}, last seen twelve minutes ago; the samples bring it back")


def _heartbeat(device_id: str, site_id: str, ago: timedelta) -> None:
    # As a queue would deliver it late: the heartbeat counts from when it arrived in AWS.
    seen = (datetime.now(UTC) - ago).isoformat()
    invoke({"device_id": device_id, "site_id": site_id, "status": "ready", "received_at": seen})


def _replace_environment(variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("DB_")]:
        del os.environ[name]
    os.environ.update(variables)


def _send_and_show(settings: Settings, *, logs: bool) -> None:
    good = True
    for name in EVENTS:
        file = sample(name)
        done = invoke(read_event(file.read_text(encoding="utf-8"), str(file)))
        console.print(f"\n[bold]events/{file.name}[/] → lambda_handler →")
        console.print(answer_text(done.answer), markup=False, soft_wrap=True)
        if logs:
            console.print(done.log, end="", style="dim", markup=False, soft_wrap=True)
        good = good and done.is_good
    with opened(settings) as connection:
        devices = rows(connection, "newest_devices", (ROWS_SHOWN + 1,))
        stale = rows(connection, "stale_devices", (None, None, ROWS_SHOWN + 1))
        ledger = Ledger(connection)
        silences = ledger.rows("silences", *(None,) * 7, ROWS_SHOWN + 1) if ledger.is_there else None
    _show("device_state", devices, lambda rows: show(rows_table(rows, always=COLUMNS)))
    _show("v_devices_stale", stale, show_stale)
    if silences is not None:
        _show("silences", silences, show_silences)
    if not good:
        raise typer.Exit(1)


def _show(title: str, found: Sequence[dict[str, Any]], table: Callable[[Sequence[dict[str, Any]]], None]) -> None:
    more = f", the first {ROWS_SHOWN} of more" if len(found) > ROWS_SHOWN else ""
    console.print(f"\n[bold]{title}[/]{more}")
    table(found[:ROWS_SHOWN])
