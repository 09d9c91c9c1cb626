"""The command's entry point: its subcommands, its version, and one line for every error."""

from __future__ import annotations

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.text import Text

from hvac_heartbeat.cli import check, migrate, run, send, serve, stale, tune
from hvac_heartbeat.cli.output import errors
from hvac_heartbeat.cli.refusals import CallRefused
from hvac_heartbeat.errors import HvacHeartbeatError, SettingsError
from hvac_heartbeat.local.reader import give_up_on_the_reader

EPILOG = "Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong."

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
    help="Keeps the heartbeats of an HVAC fleet in PostgreSQL or TimescaleDB. The database is the one that "
    "DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD name.",
)
app.command(epilog=EPILOG)(run.run)
app.command(epilog=EPILOG)(migrate.migrate)
app.command(epilog=EPILOG)(send.send)
app.command(epilog=EPILOG)(stale.stale)
app.command(epilog=EPILOG)(serve.serve)
app.command(epilog=EPILOG)(check.check)
app.command(epilog=EPILOG)(tune.tune)


def main() -> None:
    """Run the command; an error that is ours ends in one line on standard error, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrow gets a question mark
    try:
        app()
    except HvacHeartbeatError as error:
        errors.print("[red]error:[/]", Text(str(error)), soft_wrap=True)
        sys.exit(2 if isinstance(error, SettingsError | CallRefused) else 1)
    except BrokenPipeError:
        give_up_on_the_reader()
        sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hvac-heartbeat {version('hvac-heartbeat')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that belong to no subcommand."""
