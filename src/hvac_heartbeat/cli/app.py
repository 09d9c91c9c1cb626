"""The command's entry point: its subcommands, its version, and one line for every error."""

from __future__ import annotations

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.text import Text

from hvac_heartbeat.cli import (
    check,
    deaf,
    device,
    maintenance,
    migrate,
    policy,
    report,
    run,
    send,
    serve,
    silences,
    simulate,
    stale,
    status,
    telling,
    tune,
)
from hvac_heartbeat.cli.arguments import EPILOG
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.output import errors
from hvac_heartbeat.errors import HvacHeartbeatError, SettingsError
from hvac_heartbeat.local.broken_pipe import discard_output

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    help="Keeps the heartbeats of HVAC units in PostgreSQL. DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD "
    "name the database; `run` and `serve` start one of their own without them.",
)
app.command(epilog=EPILOG, short_help="Send the sample events and show the rows.")(run.run)
app.command(epilog=EPILOG, short_help="Create the table, the view and the ledger.")(migrate.migrate)
app.command(epilog=EPILOG, short_help="Send an event and print its answer.")(send.send)
app.command(epilog=EPILOG, short_help="List the devices that are stale.")(stale.stale)
app.command(epilog=EPILOG, short_help="Say how the fleet and its sites are now.")(status.status)
app.command(epilog=EPILOG, short_help="List who was silent, from when to when.")(silences.silences)
app.command(epilog=EPILOG, short_help="Show all that is known of a device.")(device.device)
app.command(epilog=EPILOG, short_help="Report the availability of sites or devices.")(report.report)
app.add_typer(policy.app, name="policy", short_help="Show or set after how long a device is stale.")
app.add_typer(maintenance.app, name="maintenance", short_help="List, add or end maintenance.")
app.add_typer(deaf.app, name="deaf", short_help="List, add or end our own outages.")
app.command(epilog=EPILOG, short_help="Judge who is silent, and print what is told.")(telling.sweep)
app.command(epilog=EPILOG, short_help="List what was told of silent devices.")(telling.episodes)
app.command(epilog=EPILOG, short_help="List the messages and who has them.")(telling.messages)
app.command(epilog=EPILOG, short_help="Take heartbeats here, and show the fleet.")(serve.serve)
app.command(epilog=EPILOG, short_help="Send the heartbeats of a made-up fleet.")(simulate.simulate)
app.command(epilog=EPILOG, short_help="Look for what is wrong with the database.")(check.check)
app.command(epilog=EPILOG, short_help="Set the table's storage for fast updates.")(tune.tune)


def main() -> None:
    """Run the command; an error of ours ends in one line on standard error, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrow gets a question mark
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        _say(error.format_message())
        sys.exit(2)
    except typer.Abort:
        _say("stopped; nothing was changed")
        sys.exit(1)
    except HvacHeartbeatError as error:
        _say(str(error))
        sys.exit(2 if isinstance(error, SettingsError | CallRefused) else 1)
    except OSError as error:
        discard_output()
        if not isinstance(error, BrokenPipeError):
            _say(str(error))
        sys.exit(1)


def _say(error: str) -> None:
    errors.print("[red]error:[/]", Text(error), soft_wrap=True)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hvac-heartbeat {version('hvac-heartbeat')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Without a subcommand, list them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
