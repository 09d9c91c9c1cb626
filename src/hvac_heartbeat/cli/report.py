"""`hvac-heartbeat report`: how available sites and devices were."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import Limit, Since, Site, Time, Until, month, one_of, refuse_future, wrong
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import fetched, ledger, print_json, show_bounded
from hvac_heartbeat.cli.output import console, moment, printable
from hvac_heartbeat.local.json_form import plain
from hvac_heartbeat.local.phrases import duration, per_cent

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONG = timedelta(days=30)
_LONGEST_MONTH = timedelta(days=31)


_HEADINGS = {
    "device_id": "device",
    "site_id": "site",
    "devices": "devices",
    "availability": "available",
    "silences": "silences",
    "longest": "longest",
    "mean_time_to_return": "mean silence",
    "observed": "observed",
}
_FIELDS = (
    *("device_id", "site_id", "devices", "availability_pct", "silences", "longest", "mean_time_to_return"),
    *("silent", "observed"),
)


def report(  # noqa: PLR0913 - a person's options
    *,
    site: Site = None,
    by: Annotated[
        str | None,
        typer.Option(
            parser=one_of("site", "device"),
            metavar="site|device",
            help="A line for each site or device: device if not given beside --site, else site.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    of_month: Annotated[
        Time, typer.Option("--month", parser=month, metavar="MONTH", help="A month of UTC, such as 2026-10.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--format",
            parser=one_of("table", "csv", "json"),
            metavar="table|csv|json",
            help="CSV and JSON have lengths in seconds.",
        ),
    ] = "table",
    limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Report the availability of each site or device, the worst first; of the last 30 days if no time is given.

    Only time in which a device was known, in no maintenance, and we were not deaf counts.
    """
    by = by or ("device" if site else "site")
    output = "json" if as_json else output
    start, end = _period(since, until, of_month)
    with ledger() as found:
        rows = found.rows(f"availability_of_{by}s", start, end, site, fetched(limit, as_json=output != "table"))
        if site is not None and not rows:
            raise DatabaseRefused(found.near("site", site))
        known_from = found.row("ledger_start")["started_at"]
        whole = found.rows("availability_of_sites", start, end, site, 1) if site and by == "device" else []
    if output == "json":
        print_json({"since": start, "until": end, "by": by, "rows": [_exact(row) for row in rows]})
    elif output == "csv":
        _write_csv([_exact(row) for row in rows], by)
    else:
        period = f"{start:%Y-%m-%d %H:%MZ} to {end:%Y-%m-%d %H:%MZ}"
        console.print(f"{period}, without maintenance and our outages", soft_wrap=True)
        if known_from is not None and known_from > start:
            console.print(f"known only since {known_from.astimezone(UTC):%Y-%m-%d %H:%MZ}, when the ledger was made")
        for row in whole:
            console.print(_in_one_line(row), markup=False)
        _show(rows, limit, by, of_one_site=bool(whole))


def _period(since: datetime | None, until: datetime | None, of_month: datetime | None) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    if of_month is not None:
        if since is not None or until is not None:
            raise wrong("give a month or --since and --until, not both", "--month")
        since, until = of_month, (of_month + _LONGEST_MONTH).replace(day=1)
    end = min(until or now, now)
    start = since or end - _LONG
    refuse_future(start, "--since" if of_month is None else "--month")
    if start >= end:
        raise wrong(f"{moment(end)} is not after --since, {moment(start)}", "--until")
    return start, end


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for a program: the availability in per cent, to a ten-millionth."""
    availability = row["availability"]
    row = row | {"availability_pct": None if availability is None else round(availability * 100, 7)}
    return {name: row[name] for name in _FIELDS if name in row}


def _write_csv(rows: Sequence[dict[str, Any]], by: str) -> None:
    empty = dict.fromkeys(name for name in _FIELDS if name != ("devices" if by == "device" else "device_id"))
    table = csv.DictWriter(sys.stdout, list(plain(empty)), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _harmless(value) for name, value in plain(row).items()})


def _harmless(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _show(rows: Sequence[dict[str, Any]], limit: int | None, by: str, *, of_one_site: bool) -> None:
    if not rows:
        console.print("No device has sent a heartbeat yet.")
        return
    shown = [
        row
        | {
            "longest": row["longest"] if row["silences"] else None,
            "observed": row["observed"] or timedelta(0),
            "site_id": None if of_one_site else row["site_id"],
        }
        for row in rows
    ]
    key = "site_id" if by == "site" else "device_id"
    show_bounded(shown, limit, _HEADINGS, key, "availability", "silences", "longest", total=rows[0]["total"])
    if any(row["availability"] is None for row in rows):
        console.print("- under available: not observed (not yet heard, in maintenance, or we were deaf)")


def _in_one_line(row: dict[str, Any]) -> str:
    devices = "1 device" if row["devices"] == 1 else f"{row['devices']} devices"
    if row["availability"] is None:
        said = "not observed in that time"
    else:
        silences = "1 silence" if row["silences"] == 1 else f"{row['silences']} silences"
        said = f"{per_cent(row['availability'])} available, {silences}, {duration(row['observed'])} observed"
    return printable(f"site {row['site_id']}, {devices}: {said}")
