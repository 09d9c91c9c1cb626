"""`hvac-heartbeat device`: all that is known of one device."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from hvac_heartbeat.cli.arguments import AsJson, name
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import Ledger, ledger, print_json
from hvac_heartbeat.cli.output import HEADINGS, cell, console, moment, printable, show
from hvac_heartbeat.cli.phrases import rule_origin, window_times
from hvac_heartbeat.cli.silences import show_silences
from hvac_heartbeat.local.phrases import duration, per_cent

LAST_SILENCES = 10
_A_MOMENT = timedelta(seconds=5)  # a silence that lasts grows between two statements
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
            raise DatabaseRefused(_missing(found, device_id))
        site = known["site_id"]
        rule = found.row("rule", site, device_id)
        maintenance = found.rows("maintenance", site, device_id, None)
        # JSON has those that do not count, too, and says of each whether it does.
        silences = found.rows("silences", None, device_id, None, None, None, not as_json, None, LAST_SILENCES)
        availability = found.row("availability_of_device", device_id, None)
    rule = {"scope": rule["scope"], "subject": rule["subject"]}
    if as_json:
        parts = {"rule": rule, "maintenance": maintenance, "availability_30_days": availability, "silences": silences}
        print_json(known | parts)
        return
    console.print(f"{printable(device_id)} at {printable(site)} is {_liveness(known)}", markup=False, soft_wrap=True)
    _show_facts(known, rule, maintenance, _availability(availability, silences))
    if silences:
        last = f", the last {LAST_SILENCES}" if len(silences) == LAST_SILENCES else ""
        console.print(f"\n[bold]silences that count[/]{last}")
        show_silences(silences, of_one_device=True)
    else:
        console.print("\nNo silence of it counts; `hvac-heartbeat silences --device` lists all of them.")


def _missing(found: Ledger, device_id: str) -> str:
    silences = found.row("silences_of_gone_device", device_id)["silences"]
    if not silences:
        return found.near("device", device_id)
    times = "once" if silences == 1 else f"{silences} times"
    return printable(
        f"{device_id} is in device_state no more; it was silent {times}: `hvac-heartbeat silences --device` has them"
    )


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
    known: dict[str, Any], rule: dict[str, str], maintenance: list[dict[str, Any]], availability: str
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
        ("availability", availability),
    ]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for heading, fact in facts:
        table.add_row(Text(heading), Text(fact))
    show(table)


def _availability(row: dict[str, Any], silences: list[dict[str, Any]]) -> str:
    if not row or row["availability"] is None:
        return "not known: in the last 30 days it was never observed"
    longest, observed = duration(row["longest"]), duration(row["observed"])
    is_whole = any(abs(silence["length"] - row["longest"]) < _A_MOMENT for silence in silences)
    if not row["silences"]:
        said = "no silence"
    elif row["silences"] == 1:
        said = f"a silence of {longest}" if is_whole else f"a silence, of which {longest} were observed"
    else:
        said = f"{row['silences']} silences, the longest " + (longest if is_whole else f"observed for {longest}")
    return f"{per_cent(row['availability'])} of the last 30 days ({observed} observed); {said}"
