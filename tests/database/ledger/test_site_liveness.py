"""What silence says of a site: v_site_liveness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.database.ledger.clock import at

if TYPE_CHECKING:
    from tests.database.ledger.clock import Ledger

DARK = "SELECT site_id, is_dark, dark_since FROM v_site_liveness ORDER BY site_id"
COUNTS = "SELECT devices, in_maintenance, online, stale, unknown, not_delivering FROM v_site_liveness"


def test_a_site_is_dark_when_all_its_devices_are_stale_since_the_last_of_them_fell_silent(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.heartbeat("b", at("08:10"))
    ledger.heartbeat("c", at("08:00"), site="south")
    ledger.now(at("08:12"))
    assert ledger.rows(DARK) == [("north", False, None), ("south", True, at("08:00"))]
    ledger.now(at("08:12:01"))
    assert ledger.rows(DARK) == [("north", True, at("08:10")), ("south", True, at("08:00"))]
    ledger.heartbeat("a", at("08:12:02"))
    assert ledger.rows(DARK)[0] == ("north", False, None)


def test_a_site_of_one_device_is_dark_with_it(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.now(at("08:05"))
    assert ledger.rows(DARK) == [("north", True, at("08:00"))]
    assert ledger.one(COUNTS) == (1, 0, 0, 1, 0, 0)


def test_every_device_is_counted_once(ledger: Ledger) -> None:
    ledger.heartbeat("online", at("11:00"))
    ledger.heartbeat("full", at("11:00"), queue_depth=9, last_upload_ts=at("08:00"))
    ledger.heartbeat("stale", at("08:00"))
    ledger.heartbeat("unknown", at("09:59"))
    for device, time in (("kept", "11:00"), ("kept-full", "11:00"), ("kept-stale", "08:00"), ("kept-unknown", "09:59")):
        ledger.heartbeat(device, at(time), queue_depth=9, last_upload_ts=at("08:00"))
        ledger.maintenance("device", device, at("07:00"))
    ledger.deaf(at("10:00"))
    ledger.now(at("11:01"))
    assert ledger.one(COUNTS) == (8, 4, 2, 1, 1, 1)
    assert ledger.rows(DARK) == [("north", False, None)]


def test_a_device_in_maintenance_neither_keeps_a_site_lit_nor_makes_it_dark(ledger: Ledger) -> None:
    ledger.heartbeat("lit", at("08:59:30"))
    ledger.heartbeat("silent", at("08:00"))
    ledger.now(at("09:00"))
    assert ledger.rows(DARK) == [("north", False, None)]
    ledger.maintenance("device", "lit", at("08:30"), at("10:00"))
    assert ledger.rows(DARK) == [("north", True, at("08:00"))]
    ledger.maintenance("device", "silent", at("08:30"), at("10:00"))
    assert ledger.rows(DARK) == [("north", False, None)]


def test_a_site_in_maintenance_is_not_dark(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.maintenance("site", "north", at("08:30"), at("10:00"))
    ledger.now(at("09:00"))
    assert ledger.rows(DARK) == [("north", False, None)]
    ledger.now(at("10:00"))
    assert ledger.rows(DARK) == [("north", True, at("08:00"))]


def test_no_site_is_dark_for_our_own_deafness(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:59"))
    ledger.heartbeat("b", at("09:00"))
    ledger.deaf(at("10:00"), at("11:00"))
    ledger.now(at("11:01"))
    assert ledger.one(COUNTS) == (2, 0, 0, 1, 1, 0)
    assert ledger.rows(DARK) == [("north", False, None)]
    ledger.now(at("11:03"))
    assert ledger.rows(DARK) == [("north", True, at("09:59"))]
