"""`hvac-heartbeat report`: how available sites and devices were."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import Limit, Since, Site, Time, Until, month, wrong
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import fetched, ledger, plain, print_json, show_bounded
from hvac_heartbeat.cli.output import console, moment, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONG = timedelta(days=30)
_LONGEST_MONTH = timedelta(days=31)


class By(StrEnum):
    """What a line of the report is about."""

    SITE = "site"
    DEVICE = "device"


class Format(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


_HEADINGS = {
    "device_id": "device",
    "site_id": "site",
    "devices": "devices",
    "availability": "available",
    "silences": "silences",
    "longest": "longest",
    "mean_time_to_return": "mean return",
}
_FIELDS = (
    *("device_id", "site_id", "devices", "availability_pct", "silences", "longest", "mean_time_to_return"),
    *("silent", "observed"),
)


def report(
    *,
    site: Site = None,
    by: Annotated[By | None, typer.Option(help="A line a site, or with --site a device, if not given.")] = None,
    since: Since = None,
    until: Until = None,
    of_month: Annotated[
        Time, typer.Option("--month", parser=month, metavar="MONTH", help="A month of UTC, such as 2026-10.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="CSV and JSON have lengths in seconds.")] = Format.TABLE,
    limit: Limit = None,
) -> None:
    """Report the availability of each site or device, the worst first; of the last 30 days if no time is given.

    Only time in which a device was known, in no maintenance, and we were not deaf counts.
    """
    by = by or (By.DEVICE if site else By.SITE)
    start, end = _period(since, until, of_month)
    with ledger() as found:
        rows = found.rows(
            f"availability_of_{by}s", start, end, site, fetched(limit, as_json=output is not Format.TABLE)
        )
        if site is not None and not rows:
            raise DatabaseRefused(found.near("site", site))
    match output:
        case Format.JSON:
            print_json({"since": start, "until": end, "by": by.value, "rows": [_exact(row) for row in rows]})
        case Format.CSV:
            _write_csv([_exact(row) for row in rows], by)
        case Format.TABLE:
            period = f"{start:%Y-%m-%d %H:%MZ} to {end:%Y-%m-%d %H:%MZ}"
            console.print(f"{period}, without maintenance and our outages", soft_wrap=True)
            _show(rows, limit, by, of_one_site=by is By.DEVICE and site is not None)


def _period(since: datetime | None, until: datetime | None, of_month: datetime | None) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    if of_month is not None:
        if since is not None or until is not None:
            raise wrong("give a month or --since and --until, not both", "--month")
        since, until = of_month, (of_month + _LONGEST_MONTH).replace(day=1)
    end = min(until or now, now)
    start = since or end - _LONG
    if start >= now:
        raise wrong(f"{moment(start)} is still to come", "--since" if of_month is None else "--month")
    if start >= end:
        raise wrong(f"{moment(end)} is not after --since, {moment(start)}", "--until")
    return start, end


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for a program: the availability in per cent, to a ten-millionth."""
    availability = row["availability"]
    row = row | {"availability_pct": None if availability is None else round(availability * 100, 7)}
    return {name: row[name] for name in _FIELDS if name in row}


def _write_csv(rows: Sequence[dict[str, Any]], by: By) -> None:
    empty = dict.fromkeys(name for name in _FIELDS if name != ("devices" if by is By.DEVICE else "device_id"))
    table = csv.DictWriter(sys.stdout, list(plain(empty)), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _harmless(value) for name, value in plain(row).items()})


def _harmless(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _show(rows: Sequence[dict[str, Any]], limit: int | None, by: By, *, of_one_site: bool) -> None:
    if not rows:
        console.print("No device has sent a heartbeat yet.")
        return
    shown = [
        row
        | {"longest": row["longest"] if row["silences"] else None, "site_id": None if of_one_site else row["site_id"]}
        for row in rows
    ]
    key = "site_id" if by is By.SITE else "device_id"
    show_bounded(shown, limit, _HEADINGS, key, "availability", "silences", "longest")
