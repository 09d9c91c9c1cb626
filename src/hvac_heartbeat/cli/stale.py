"""`hvac-heartbeat stale`: the devices that v_devices_stale lists."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import Site, seconds
from hvac_heartbeat.cli.database import opened, rows, told_of_rights
from hvac_heartbeat.cli.ledger import Ledger, refuse_unknown
from hvac_heartbeat.cli.output import console, rows_table, show
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("device_id", "site_id", "last_seen_ts", "age")


def stale(
    *,
    site: Site = None,
    older_than: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="LENGTH", help="Only devices silent for longer: 5m, 2h, 1d."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="COUNT", help="Show no more than this many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list; age_s is in seconds.")] = False,
) -> None:
    """List the devices in v_devices_stale, the longest silent first.

    The view has every device that was silent for more than 120 seconds, unless somebody changed it.
    """
    settings = Settings.from_environment(os.environ)
    with opened(settings) as connection, told_of_rights(connection, "SELECT"):
        found = rows(connection, "stale_devices", (site, older_than, limit))
        if not found:
            refuse_unknown(Ledger(connection), site)
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in found], ensure_ascii=False, indent=2))
    else:
        show_stale(found)


def show_stale(found: Sequence[dict[str, Any]]) -> None:
    """Print stale devices as a table, or that there are none."""
    if found:
        show(rows_table(found, always=COLUMNS))
    else:
        console.print("No device is stale.")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "device_id": row["device_id"],
        "site_id": row["site_id"],
        "last_seen_ts": row["last_seen_ts"] and row["last_seen_ts"].isoformat(),
        "age_s": round(row["age"].total_seconds(), 3),
    }
