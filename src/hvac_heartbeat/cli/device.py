"""`hvac-heartbeat device`: all that is known of one device."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from hvac_heartbeat.cli.arguments import AsJson, name
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import ledger, print_json
from hvac_heartbeat.cli.output import HEADINGS, cell, console, duration, moment, per_cent, printable, show
from hvac_heartbeat.cli.phrases import rule_origin, window_times
from hvac_heartbeat.cli.silences import show_silences

LAST_SILENCES = 10
_FIELDS = ("status", "agent_version", "cpu_pct", "disk_free_gb", "queue_depth", "poll_interval_s", "last_upload_ts")


def device(
    device_id: Annotated[str, typer.Argument(parser=name, metavar="ID", help="The device's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a device's last heartbeat, whether it is silent, which rule holds, its silences and its availability."""
    with ledger() as found:
        known = found.row("device", device_id)
        if not known:
            raise DatabaseRefused(found.near("device", device_id))
        site = known["site_id"]
        rule = found.row("rule", site, device_id)
        maintenance = found.rows("maintenance", site, device_id, None)
        silences = found.rows("silences", None, device_id, None, None, None, LAST_SILENCES)
        availability = found.row("availability_of_device", device_id)
    rule = {"scope": rule["scope"], "subject": rule["subject"]}
    if as_json:
        parts = {"rule": rule, "maintenance": maintenance, "availability_30_days": availability, "silences": silences}
        print_json(known | parts)
        return
    console.print(f"{printable(device_id)} at {printable(site)} is {_liveness(known)}", markup=False, soft_wrap=True)
    _show_facts(known, rule, maintenance, availability)
    if silences:
        console.print(f"\n[bold]silences[/]{' (the last ten)' if len(silences) == LAST_SILENCES else ''}")
        show_silences(silences, of_one_device=True)
    else:
        console.print("\nIt was never silent for more than 120 seconds since the ledger was made.", soft_wrap=True)


def _liveness(known: dict[str, Any]) -> str:
    words = [known["liveness"]]
    if known["silent_from"] is not None:
        words.append(f"silent since {moment(known['silent_from'])}")
    if known["delivering"] is not None:
        words.append("delivering" if known["delivering"] else "not delivering: its queue waits to be uploaded")
    if known["in_maintenance"]:
        words.append("in maintenance")
    return ", ".join(words)


def _show_facts(
    known: dict[str, Any], rule: dict[str, str], maintenance: list[dict[str, Any]], availability: dict[str, Any]
) -> None:
    said = ", ".join(
        f"{HEADINGS[field]} {cell(field, known[field]).plain}" for field in _FIELDS if known[field] is not None
    )
    seen = known["last_seen_ts"]
    heard = "at no time that can be told" if seen is None else f"{moment(seen)}, {duration(known['age'])} ago"
    facts = [
        ("last heartbeat", heard),
        ("it said", said or "nothing of itself"),
        ("stale after", f"{duration(known['stale_after'])}, {rule_origin(rule)}"),
        *(("maintenance", window_times(window)) for window in maintenance),
        ("availability", _availability(availability)),
    ]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for heading, fact in facts:
        table.add_row(Text(heading), Text(fact))
    show(table)


def _availability(row: dict[str, Any]) -> str:
    if not row or row["availability"] is None:
        return "not known: in the last 30 days it was never observed"
    silences = (
        f"{row['silences']} silences, the longest {duration(row['longest'])}" if row["silences"] > 1 else
        f"a silence of {duration(row['longest'])}" if row["silences"] else "no silence"
    )  # fmt: skip
    observed = duration(row["observed"])
    return f"{per_cent(row['availability'])} of the last 30 days ({observed} observed); {silences}"
