"""How states, times and lengths of time are put to whoever looks at the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import quote

from hvac_heartbeat.local.read_model.answers import Device, DeviceHistory, Rule, Site

_HALF_A_DAY: Final = timedelta(hours=12)


class State(NamedTuple):
    """What the page says of a site or a device: the name of its shape and colour, what it is, and of how many."""

    name: str
    what: str
    share: str = ""

    @property
    def words(self) -> str:
        return f"{self.share}{self.what}"


def site_state(site: Site) -> State:
    """Say the worst thing that is true of a site."""
    counted = site.devices - site.in_maintenance
    if site.is_dark:
        return State("dark", "dark")
    if not counted:
        return State("maintenance", "in maintenance")
    for name, what, devices in (
        ("stale", "silent", site.stale),
        ("undelivered", "not delivering", site.not_delivering),
        ("unknown", "unknown", site.unknown),
    ):
        if devices:
            return State(name, what, f"{devices:,} of {counted:,} ")
    return State("online", "online")


def device_state(device: Device | DeviceHistory) -> State:
    """Say the worst thing that is true of a device; in maintenance nothing else matters."""
    if device.in_maintenance:
        return State("maintenance", f"in maintenance, {'silent' if device.liveness == 'stale' else device.liveness}")
    if device.liveness == "stale":
        return State("stale", "silent")
    if device.delivering is False:
        return State("undelivered", "not delivering")
    return State(device.liveness, device.liveness)


def link(page: str, **names: str) -> str:
    """Return the address of a page about something. Ids go into the query: a path would lose one that is "..".."""
    return f"/{page}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in names.items())


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def iso(time: datetime) -> str:
    """Return a time for the script, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def moment(time: datetime) -> str:
    """Phrase a time; the day is left out within half a day of now, where only one day can be meant."""
    time = time.astimezone(UTC)
    return f"{time:%H:%M} UTC" if abs(time - datetime.now(UTC)) < _HALF_A_DAY else f"{time:%Y-%m-%d %H:%M} UTC"


def isolated(text: str) -> str:
    """Keep a text's direction from turning what is around it, where no element can (in a title)."""
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"


def whose(rule: Rule) -> str:
    """Say whose rule it is."""
    return {
        "device": "the device's own rule",
        "site": "the site's rule",
        "fleet": "the fleet's rule",
        "default": "no rule is set",
    }[rule.scope]
