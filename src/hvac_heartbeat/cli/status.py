"""`hvac-heartbeat status`: how the fleet is now, and its sites, the worst first."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.cli.arguments import AsJson, Limit, Site
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import fetched, ledger, print_json, show_bounded
from hvac_heartbeat.cli.output import console, moment, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

COUNTS = ("devices", "online", "stale", "unknown", "in_maintenance", "not_delivering")
_SITES = {
    "site_id": "site",
    "dark_since": "dark since",
    "devices": "devices",
    "online": "online",
    "stale": "stale",
    "unknown": "unknown",
    "not_delivering": "not delivering",
    "in_maintenance": "in maintenance",
}
_DEVICES = {"device_id": "device", "state": "state", "last_seen_ts": "last seen", "age": "age", "status": "status"}


def status(*, site: Site = None, limit: Limit = None, as_json: AsJson = False) -> None:
    """Say how many devices are online, stale, unknown, in maintenance and not delivering, and list the sites.

    The worst sites come first: those that are dark, because every device of theirs is stale. With --site it lists that
    site's devices instead. A device in maintenance is counted as that and as nothing else.
    """
    devices: list[dict[str, Any]] = []
    with ledger() as found:
        deaf_since = found.row("deaf_since")["deaf_since"]
        sites = found.rows("sites", None, None, None)
        if site is not None:
            sites = [row for row in sites if row["site_id"] == site]
            if not sites:
                raise DatabaseRefused(found.near("site", site))
            devices = found.rows("devices_of_site", site, None, fetched(limit, as_json=as_json))
    total = {name: int(sum(row[name] for row in sites)) for name in COUNTS}
    if as_json:
        of_site = {} if site is None else {"devices": devices}
        bounded = sites if limit is None else sites[:limit]
        print_json({"fleet" if site is None else "site": total, "deaf_since": deaf_since, "sites": bounded} | of_site)
        return
    console.print(textwrap.fill(_in_one_line(total, sites), console.width), markup=False, soft_wrap=True)
    if deaf_since is not None:
        console.print(_deaf(deaf_since), markup=False, soft_wrap=True)
    if site is not None:
        show_bounded(
            [row | {"state": _state(row)} for row in devices], limit, _DEVICES, *_DEVICES, total=total["devices"]
        )
    elif sites:
        rows = [row | {name: row[name] or None for name in COUNTS[3:]} for row in sites]
        show_bounded(rows, limit, _SITES, "site_id", "dark_since", "stale", total=len(rows))


def _in_one_line(total: dict[str, int], sites: Sequence[dict[str, Any]]) -> str:
    if not sites:
        return "No device has sent a heartbeat yet."
    dark = sum(row["is_dark"] for row in sites)
    if len(sites) > 1:
        where = f"{len(sites)} sites" + (f", {dark} of them dark" if dark else "")
    else:
        where = f"site {printable(sites[0]['site_id'])}" + (", which is dark" if dark else "")
    said = [f"{total[name]} {name.replace('_', ' ')}" for name in COUNTS[1:] if total[name] or name in COUNTS[1:3]]
    return f"{total['devices']} device{'s' if total['devices'] != 1 else ''} at {where}: {', '.join(said)}"


def _deaf(since: datetime) -> str:
    return f"We have been deaf since {moment(since)}: no further silence counts until it ends."


def _state(row: dict[str, Any]) -> str:
    words = [row["liveness"]]
    if row["delivering"] is False:
        words.append("not delivering")
    if row["in_maintenance"]:
        words.append("in maintenance")
    return ", ".join(words)
