"""`hvac-heartbeat check`: look at the database with the function's eyes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hvac_heartbeat.cli.output import show
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hvac_heartbeat.local.checkup.finding import Finding

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "wrong": "bold red"}


def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of findings.")] = False) -> None:
    """Connect as the function would, and say what is wrong with the database, what that costs and how to mend it.

    It changes nothing. The exit code is 1 when something is wrong.
    """
    from hvac_heartbeat.local.checkup.examination import examine
    from hvac_heartbeat.local.checkup.finding import Level

    findings = examine(Settings.from_environment(os.environ))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(findings), ensure_ascii=False, indent=2))
    else:
        _show(findings)
    if any(finding.level is Level.WRONG for finding in findings):
        raise typer.Exit(1)


def _show(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        lines = Text(finding.found)
        if finding.advice:
            lines.append(f"\n{finding.advice}", style="dim")
        if finding.sql:
            lines.append(f"\n{finding.sql};", style="italic")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(finding.subject), lines)
    show(table)
