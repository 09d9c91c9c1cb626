"""`hvac-heartbeat sweep`, `episodes` and `messages`: judge now, and look at what was told."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import AsJson, Limit, Site
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.ledger import (
    TABLE_ROWS,
    fetched,
    ledger,
    print_json,
    refuse_unknown,
    say_whether_more,
    show_bounded,
)
from hvac_heartbeat.cli.output import console, moment, printable
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE_S = 60.0
_MISSING = "there is no outbox of messages here"
_HEADINGS = {
    "device_id": "device",
    "site_id": "site",
    "silent_from": "silent since",
    "told": "told",
    "back": "back since",
    "lasted": "lasted",
    "flapping": "flapping",
}


def sweep(
    *,
    deliver: Annotated[bool, typer.Option("--deliver", help="Deliver to the channels that HEARTBEAT_* name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge who is silent, write what is to be told, and print it.

    It may run at any time, beside the function's schedule too. The function's next sweep delivers the messages; with
    --deliver they go out at once, to HEARTBEAT_EVENT_BUS, HEARTBEAT_SNS_TOPIC and HEARTBEAT_WEBHOOK_URL, where set.
    """
    settings = Settings.from_environment(os.environ)
    with ledger(_MISSING) as outbox:
        newest = outbox.row("newest_message")["id"]
        found = outbox.row("sweep", settings.channels.canary)
        written = outbox.rows("messages_since", newest)
    if as_json:
        print_json(found | {"written": written})
    else:
        _say(found, written)
    if deliver:
        _deliver(settings)


def episodes(
    *,
    site: Site = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that last.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List what was told, or is to be told, of devices that fell silent; the newest first."""
    with ledger(_MISSING) as outbox:
        found = outbox.rows("episodes", site, is_open, fetched(limit, as_json=as_json))
        if not found:
            refuse_unknown(outbox, site)
    if as_json:
        print_json(found)
    elif not found:
        console.print("There is no episode: nobody was silent for long enough to be told of.")
    else:
        rows = [
            row
            | {"back": row["returned_at"] or ("not yet" if row["closed_at"] is None else None)}
            | {"flapping": "yes" if row["is_flapping"] else None}
            for row in found
        ]
        show_bounded(rows, limit, _HEADINGS, *(name for name in _HEADINGS if name != "flapping"))


def messages(
    *,
    site: Site = None,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only those that no channel has.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the messages, the newest first, and which channels have them."""
    with ledger(_MISSING) as outbox:
        found = outbox.rows("messages", site, undelivered, fetched(limit, as_json=as_json))
        if not found:
            refuse_unknown(outbox, site)
    if as_json:
        print_json(found)
    elif not found:
        console.print("There is no message.")
    else:
        for row in found[: limit or TABLE_ROWS]:
            channels = ", ".join(row["delivered_to"]) or f"nobody yet, {row['attempts']} failed attempts"
            console.print(f"{moment(row['created_at'])}  {row['kind']}  ({channels})", markup=False, soft_wrap=True)
            console.print(f"  {printable(row['text'])}", markup=False, soft_wrap=True)
        say_whether_more(found, limit)


def _say(found: dict[str, Any], written: Sequence[dict[str, Any]]) -> None:
    if found["is_skipped"]:
        console.print("Another sweep is running; it does the same work.")
        return
    counts = "{devices} devices, {stale} stale; {opened} fell silent, {closed} are back."
    console.print(counts.format_map(found))
    if found["is_fleet_silent"]:
        console.print("Many devices at once are not heard: no device is told of while this lasts.")
    for row in written:
        console.print(f"{row['kind']}: {printable(row['text'])}", markup=False, soft_wrap=True)


def _deliver(settings: Settings) -> None:
    from hvac_heartbeat.aws.delivery import channels_of, deliver

    channels = channels_of(settings.channels)
    if not channels:
        raise CallRefused("set HEARTBEAT_EVENT_BUS, HEARTBEAT_SNS_TOPIC or HEARTBEAT_WEBHOOK_URL to deliver to it")
    database = Database(settings)
    try:
        delivered, failed = deliver(Telling(database), channels, time.monotonic() + _PATIENCE_S)
    finally:
        database.close()
    console.print(f"{delivered} delivered, {failed} failed.")
    if failed:
        raise typer.Exit(1)
