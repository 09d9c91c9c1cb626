"""`hvac-heartbeat run`: the two sample events through the handler into a real PostgreSQL, for everyone to see."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli.database import is_this_machine, opened, place, rows
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.output import answer_text, console, rows_table, show
from hvac_heartbeat.cli.playing import is_good, play, read_event
from hvac_heartbeat.cli.stale import show_stale
from hvac_heartbeat.local.events import sample
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = ("single", "batch")
COLUMNS = ("device_id", "site_id", "status", "last_seen_ts")
ROWS_SHOWN = 20


def run(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write to the database that DB_HOST names even if it is on another machine.")
    ] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Show the function's log lines too.")] = False,
) -> None:
    """Send the two sample events through the Lambda handler and show what is in the database then.

    Without DB_HOST it starts a throwaway PostgreSQL and removes it at the end. With DB_HOST it uses
    that database, creates nothing in it, and asks for --yes where it is on another machine.
    """
    if os.environ.get("DB_HOST") or os.environ.get("DB_SECRET_ARN"):
        _run_on_yours(yes=yes, logs=logs)
    else:
        with throwaway():
            _play_and_show(Settings.from_environment(os.environ), logs=logs)
        console.print("\nThe throwaway PostgreSQL is gone again. For your own database, set DB_HOST …", soft_wrap=True)


def _run_on_yours(*, yes: bool, logs: bool) -> None:
    settings = Settings.from_environment(os.environ)
    if not (yes or is_this_machine(settings.host)):
        raise CallRefused(
            f"{place(settings)} is on another machine; this would write four sample devices into it. "
            "Nothing was written. Add --yes (make run ARGS=--yes) if you mean to."
        )
    console.print(f"Using the database that DB_* names: {place(settings)}", markup=False, soft_wrap=True)
    with opened(settings):  # says at once what the handler would only give up on
        pass
    _play_and_show(settings, logs=logs)


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
                console.print(
                    f"Throwaway PostgreSQL {connection.info.server_version // 10_000}, "
                    f"created {' and '.join(plan.missing)}"
                )
            yield
        finally:
            handler.reset()
            _replace_environment(before)


def _replace_environment(variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("DB_")]:
        del os.environ[name]
    os.environ.update(variables)


def _play_and_show(settings: Settings, *, logs: bool) -> None:
    good = True
    for name in EVENTS:
        file = sample(name)
        answer, log = play(read_event(file.read_text(encoding="utf-8"), str(file)))
        console.print(f"\n[bold]events/{file.name}[/] → lambda_handler →")
        console.print(answer_text(answer), markup=False, soft_wrap=True)
        if logs:
            console.print(log, end="", style="dim", markup=False, soft_wrap=True)
        good = good and is_good(answer)
    with opened(settings) as connection:
        devices = rows(connection, "newest_devices", (ROWS_SHOWN + 1,))
        stale = rows(connection, "stale_devices", (None, None, ROWS_SHOWN + 1))
    for title, found in (("device_state", devices), ("v_devices_stale", stale)):
        more = f", the first {ROWS_SHOWN} of more" if len(found) > ROWS_SHOWN else ""
        console.print(f"\n[bold]{title}[/]{more}")
        if title == "device_state":
            show(rows_table(found[:ROWS_SHOWN], always=COLUMNS))
        else:
            show_stale(found[:ROWS_SHOWN])
    if not good:
        raise typer.Exit(1)
