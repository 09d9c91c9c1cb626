"""What the page says of a site and of a device: the worst that is true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from hvac_heartbeat.local.page import words
from hvac_heartbeat.local.page.render import render
from hvac_heartbeat.local.read_model.answers import Device, Fleet, FleetSilence, Overview, Page, Site


def site(*, is_dark: bool = False, stale: int = 0, unknown: int = 0, maintained: int = 0, waiting: int = 0) -> Site:
    online = 1_200 - stale - unknown - maintained
    return Site("north", is_dark, None, 1_200, online, stale, unknown, maintained, waiting)


@pytest.mark.parametrize(
    ("of", "name", "said"),
    [
        (site(), "online", "online"),
        (site(is_dark=True, stale=1_200), "dark", "dark"),
        (site(stale=2, waiting=3, unknown=1), "stale", "2 of 1,200 silent"),
        (site(waiting=3, unknown=1), "undelivered", "3 of 1,200 not delivering"),
        (site(unknown=1, maintained=200), "unknown", "1 of 1,000 unknown"),
        (site(maintained=1_200), "maintenance", "in maintenance"),
    ],
)
def test_a_site(of: Site, name: str, said: str) -> None:
    state = words.site_state(of)
    assert (state.name, state.words) == (name, said)


@pytest.mark.parametrize(
    ("liveness", "delivering", "in_maintenance", "said"),
    [
        ("online", True, False, "online"),
        ("online", False, False, "not delivering"),
        ("online", None, False, "online"),
        ("stale", None, False, "silent"),
        ("unknown", None, False, "unknown"),
        ("stale", None, True, "in maintenance, silent"),
        ("online", False, True, "in maintenance, online"),
    ],
)
def test_a_device(liveness: str, *, delivering: bool | None, in_maintenance: bool, said: str) -> None:
    device = Device("ahu", liveness, None, None, None, None, delivering, in_maintenance)
    assert words.device_state(device).words == said


def test_the_day_is_left_out_where_only_one_can_be_meant() -> None:
    now = datetime.now(UTC)
    assert words.moment(now - timedelta(hours=1)) == f"{now - timedelta(hours=1):%H:%M} UTC"
    assert words.moment(now - timedelta(hours=13)) == f"{now - timedelta(hours=13):%Y-%m-%d %H:%M} UTC"


def test_an_address_holds_any_name() -> None:
    assert words.link("site", id="../a b?&#") == "/site?id=..%2Fa%20b%3F%26%23"


def test_a_tenth_of_the_fleet_is_not_called_almost_all_of_it() -> None:
    fleet = Fleet(
        devices=50, online=35, stale=15, unknown=0, in_maintenance=0, not_delivering=0, sites=10, dark_sites=3,
        newest_heartbeat=datetime.now(UTC), has_ledger=True, has_telling=True, open_episodes=0,
        fleet_silence=FleetSilence(datetime.now(UTC), None),
    )  # fmt: skip
    shown = structs.asdict(Overview(fleet, Page([], None), [], more_stale_devices=False, not_delivering=[]))
    shown |= {"refresh_s": 5, "is_heard": True, "is_sweeping": False, "search": "", "is_first": True, "worst": None}
    page = render("fleet.html", **shown).decode()
    assert "<title>Many devices are not heard" in page
    assert "It may be: many devices at once have not been heard, or were late," in page
