"""What is applied when reading: the rule for each device, maintenance, and our own deafness."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.database.ledger.clock import at

if TYPE_CHECKING:
    from tests.database.ledger.clock import Ledger

RULES = "SELECT device_id, extract(epoch FROM stale_after)::int FROM v_stale_after ORDER BY device_id"


def test_without_a_rule_120_seconds_hold(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    assert ledger.rows(RULES) == [("a", 120)]


def test_the_device_s_own_rule_goes_before_its_site_s_and_that_before_the_fleet_s(ledger: Ledger) -> None:
    for device, site in (("a", "north"), ("b", "north"), ("c", "south")):
        ledger.heartbeat(device, at("08:00"), site=site)
    ledger.policy("device", "a", "4 minutes")
    assert ledger.rows(RULES) == [("a", 240), ("b", 120), ("c", 120)]
    ledger.policy("fleet", "", "6 minutes")
    assert ledger.rows(RULES) == [("a", 240), ("b", 360), ("c", 360)]
    ledger.policy("site", "north", "5 minutes")
    assert ledger.rows(RULES) == [("a", 240), ("b", 300), ("c", 360)]


def test_a_rule_is_for_its_own_kind_of_subject(ledger: Ledger) -> None:
    """A device may be called like a site."""
    ledger.heartbeat("north", at("08:00"), site="a")
    ledger.policy("site", "north", "5 minutes")
    ledger.policy("device", "a", "5 minutes")
    assert ledger.rows(RULES) == [("north", 120)]


def test_a_device_that_moves_takes_its_new_site_s_rule(ledger: Ledger) -> None:
    ledger.policy("site", "south", "10 minutes")
    ledger.heartbeat("a", at("08:00"), site="north")
    assert ledger.rows(RULES) == [("a", 120)]
    ledger.heartbeat("a", at("08:01"), site="south")
    assert ledger.rows(RULES) == [("a", 600)]


@pytest.mark.parametrize(
    ("scope", "subject", "stale_after"),
    [
        ("fleet", "", "119.999999 seconds"),
        ("device", "a", "-1 hour"),
        ("site", "north", "36526 days"),
        ("fleet", "north", "5 minutes"),
        ("site", "", "5 minutes"),
        ("continent", "europe", "5 minutes"),
    ],
)
def test_a_rule_below_the_floor_or_without_a_fitting_subject_is_refused(
    ledger: Ledger, scope: str, subject: str, stale_after: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.policy(scope, subject, stale_after)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_a_day_is_24_hours_in_every_session(ledger: Ledger, zone: str) -> None:
    """In Europe the night of 25 October had an hour more, so that a day after noon is 25 hours after it."""
    ledger.connection.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    ledger.policy("fleet", "", "1 day")
    ledger.heartbeat("a", at("12:00", day=24))
    ledger.now(at("12:00", day=25))
    assert ledger.one("SELECT liveness, stale_after FROM v_device_liveness") == ("online", timedelta(days=1))
    ledger.now(at("12:00:00.000001", day=25))
    assert ledger.one("SELECT liveness, age FROM v_device_liveness") == ("stale", timedelta(days=1, microseconds=1))


MAINTAINED = "SELECT device_id FROM v_in_maintenance ORDER BY device_id"


def test_a_device_is_in_maintenance_by_its_own_window_or_its_site_s(ledger: Ledger) -> None:
    for device, site in (("a", "north"), ("b", "north"), ("c", "south"), ("south", "east")):
        ledger.heartbeat(device, at("08:00"), site=site)
    ledger.maintenance("device", "a", at("09:00"), at("10:00"))
    ledger.maintenance("site", "south", at("09:30"), at("10:00"))
    found = {}
    for time in ("08:59:59.999999", "09:00", "09:30", "09:59:59.999999", "10:00"):
        ledger.now(at(time))
        found[time] = [device for (device,) in ledger.rows(MAINTAINED)]
    assert found == {
        "08:59:59.999999": [],
        "09:00": ["a"],
        "09:30": ["a", "c"],
        "09:59:59.999999": ["a", "c"],
        "10:00": [],
    }


def test_several_windows_at_once_list_a_device_once(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    for scope, subject in (("device", "a"), ("device", "a"), ("site", "north")):
        ledger.maintenance(scope, subject, at("09:00"))
    ledger.now(at("12:00", day=31))
    assert ledger.rows(MAINTAINED) == [("a",)]
    assert len(ledger.rows("SELECT FROM v_device_liveness")) == 1


@pytest.mark.parametrize(
    ("scope", "subject", "starts", "ends"),
    [("device", "a", "09:00", "09:00"), ("site", "", "09:00", "10:00"), ("fleet", "a", "09:00", "10:00")],
)
def test_a_window_that_covers_nothing_is_refused(
    ledger: Ledger, scope: str, subject: str, starts: str, ends: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.maintenance(scope, subject, at(starts), at(ends))


@pytest.mark.parametrize("bounds", ["'-infinity', '2026-10-01Z'", "'2026-10-01Z', 'infinity'"])
@pytest.mark.parametrize("table", ["deaf_interval", "maintenance_window"])
def test_infinity_is_no_bound(ledger: Ledger, table: str, bounds: str) -> None:
    """No end is null, and only that."""
    columns, values = ("", "") if table == "deaf_interval" else ("scope, subject, ", "'site', 'north', ")
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.rows(f"INSERT INTO {table} ({columns}starts_at, ends_at) VALUES ({values}{bounds})")  # noqa: S608


def test_deaf_intervals_are_taken_together(ledger: Ledger) -> None:
    assert ledger.one("SELECT deaf::text FROM v_deaf") == ("{}",)
    ledger.deaf(at("09:00"), at("10:00"))
    ledger.deaf(at("09:30"), at("11:00"))
    ledger.deaf(at("11:00"), at("11:30"))
    ledger.deaf(at("20:00"))
    together = "{[2026-10-01 09:00Z, 2026-10-01 11:30Z), [2026-10-01 20:00Z, infinity)}"
    assert ledger.one("SELECT deaf = %s::tstzmultirange FROM v_deaf", together) == (True,)
