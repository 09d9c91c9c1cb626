"""`hvac-heartbeat send`: any event, through the function's own handler, to the database that DB_* names."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hvac_heartbeat.cli.database import opened
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.invoke import invoke, read_event
from hvac_heartbeat.cli.output import answer_text
from hvac_heartbeat.settings import Settings


def send(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A JSON file with the event, or - for standard input.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Print the answer as Lambda returns it, on one line.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Print the function's log lines on standard error.")] = False,
) -> None:
    """Send an event of any trigger through the handler, and print its answer.

    The last line counts the heartbeats that were updated, outdated, rejected or failed. The exit code is 1 when any was
    rejected or failed.
    """
    settings = Settings.from_environment(os.environ)  # says what is missing before anything is read
    event = read_event(_text(file), "standard input" if file == "-" else file)
    with opened(settings):  # says at once what the handler would only give up on
        pass
    done = invoke(event)
    if logs:
        typer.echo(done.log, err=True, nl=False)
    typer.echo(answer_text(done.answer, raw=raw))
    has_reasons = logs or (isinstance(done.answer, dict) and "body" in done.answer)
    typer.echo(done.summary + ("" if done.is_good or has_reasons else "; --logs shows why"), err=True)
    if not done.is_good:
        raise typer.Exit(1)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise CallRefused(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CallRefused(f"{file} is not UTF-8 text") from error
