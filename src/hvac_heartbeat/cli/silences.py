"""`hvac-heartbeat silences`: who was silent, from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import AsJson, Device, Limit, Since, Site, Until, refuse_future, wrong
from hvac_heartbeat.cli.ledger import TABLE_ROWS, fetched, ledger, print_json, refuse_unknown, show_bounded
from hvac_heartbeat.cli.output import console, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADINGS = {
    "device_id": "device",
    "site_id": "site",
    "silent_from": "silent since",
    "length": "silent for",
    "counted": "counts",
    "back_at": "back at",
}


def silences(  # noqa: PLR0913 - a person's options
    *,
    site: Site = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only silences that last.")] = False,
    counting: Annotated[bool, typer.Option("--counting", help="Only silences that count in reports.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the silences of more than 120 seconds, the newest first.

    A silence counts in reports if, for longer than the device's stale_after and without a break, we could hear in it.
    Of those that count, reports leave out the time in maintenance.
    """
    if since is not None:
        refuse_future(since, "--since")
    if since is not None and until is not None and since >= until:
        raise wrong("is not after --since", "--until")
    with ledger() as found:
        wanted = (site, device, since, until, is_open, counting)
        rows = found.rows("silences", *wanted, None, fetched(limit, as_json=as_json))
        if not rows:
            refuse_unknown(found, site, device)
        is_cut = not as_json and len(rows) > (limit or TABLE_ROWS)
        total = found.row("count_silences", *wanted, None, None)["total"] if is_cut else None
    if as_json:
        print_json(rows)
    elif rows:
        show_silences(rows, limit, total=total)
    else:
        where = " there" if site or device or since or until else ""
        length = "long enough to count" if counting else "more than 120 seconds"
        console.print(f"No device {'is' if is_open else 'was'} silent for {length}{where}.")


def show_silences(
    rows: Sequence[dict[str, Any]],
    limit: int | None = None,
    *,
    total: int | None = None,
    of_one_device: bool = False,
) -> None:
    """Print silences as a table; the day of a return is left out within half a day of the silence's beginning."""
    some_do_not_count = not all(row["counts"] for row in rows)
    shown = [
        row
        | {
            "back_at": moment(row["silent_to"], now=row["silent_from"]) if row["silent_to"] else "not yet",
            "counted": ("yes" if row["counts"] else "no") if some_do_not_count else None,
        }
        for row in rows
    ]
    if not rows:
        console.print("No device was silent for more than 120 seconds.")
        return
    always = [name for name in _HEADINGS if name not in {"back_at", "counted"}]
    headings = {name: heading for name, heading in _HEADINGS.items() if not (of_one_device and name == "device_id")}
    show_bounded(shown, limit, headings, *always, total=total)
