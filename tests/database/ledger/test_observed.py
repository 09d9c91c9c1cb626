"""What of a period is observed: not what was before the first heartbeat, in maintenance, or while we were deaf."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.database.ledger.clock import at
from tests.database.ledger.reports import HOUR, MINUTE, NOTHING, QUARTER, Report, report

if TYPE_CHECKING:
    from tests.database.ledger.clock import Ledger


def test_the_first_heartbeat_begins_what_is_observed(ledger: Ledger) -> None:
    """Before it, the device was not there, and that is no silence."""
    ledger.heartbeat("a", at("06:00"))
    ledger.now(at("07:00"))
    assert report(ledger, at("05:00"), None) == Report(HOUR, HOUR, Decimal(0), 1, HOUR, HOUR)


def test_of_a_device_that_is_older_than_the_ledger_nothing_is_known_from_before_it(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.connection.execute("DELETE FROM first_heartbeat")
    ledger.connection.execute("UPDATE ledger_start SET started_at = %s", [at("08:30")])
    ledger.heartbeat("a", at("09:00"))
    ledger.now(at("09:00"))
    half = 30 * MINUTE
    assert report(ledger, None, None) == Report(half, half, Decimal(0), 1, half, half)


def test_maintenance_is_not_observed(hour: Ledger) -> None:
    hour.maintenance("device", "a", at("08:40"), at("08:50"))
    ten = 10 * MINUTE
    assert report(hour, None, None) == Report(50 * MINUTE, ten, Decimal("0.8"), 1, ten, ten)


def test_windows_of_the_device_and_its_site_may_overlap(hour: Ledger) -> None:
    hour.maintenance("device", "a", at("08:10"), at("08:20"))
    hour.maintenance("site", "north", at("08:15"), at("08:35"))
    hour.maintenance("site", "north", at("08:18"), at("08:22"))
    hour.maintenance("site", "south", at("08:00"), at("09:00"))
    ten = 10 * MINUTE
    found = report(hour, None, None)
    assert (found.observed, found.silent, found.silences) == (35 * MINUTE, ten, 1)


def test_maintenance_in_the_middle_leaves_one_silence(hour: Ledger) -> None:
    hour.maintenance("device", "a", at("08:35"), at("08:40"))
    found = report(hour, None, None)
    assert (found.silent, found.silences, found.longest) == (10 * MINUTE, 1, 10 * MINUTE)


def test_a_silence_wholly_within_maintenance_is_none(hour: Ledger) -> None:
    hour.maintenance("device", "a", at("08:30"), at("08:45"))
    assert report(hour, None, None) == Report(45 * MINUTE)


def test_maintenance_that_was_edited_afterwards_corrects_the_past(hour: Ledger) -> None:
    hour.maintenance("device", "a", at("08:30"), at("08:45"))
    hour.connection.execute("UPDATE maintenance_window SET ends_at = %s", [at("08:40")])
    five = 5 * MINUTE
    assert report(hour, None, None) == Report(50 * MINUTE, five, Decimal("0.9"), 1, five, five)
    hour.connection.execute("DELETE FROM maintenance_window")
    assert report(hour, None, None) == QUARTER


def test_a_retired_device_is_observed_until_it_was_retired(hour: Ledger) -> None:
    """It has maintenance without an end, and its silence does not count against it."""
    hour.maintenance("device", "a", at("09:00"))
    hour.now(at("08:00", day=25))
    assert report(hour, None, None) == QUARTER
    assert report(hour, at("00:00", day=2), None) == NOTHING


def test_what_we_could_not_hear_is_not_observed(hour: Ledger) -> None:
    hour.deaf(at("08:40"), at("08:50"))
    ten = 10 * MINUTE
    assert report(hour, None, None) == Report(50 * MINUTE, ten, Decimal("0.8"), 1, ten, ten)


def test_a_silence_that_is_explained_by_our_deafness_does_not_count(hour: Ledger) -> None:
    """From 08:30 to 08:32, and from 08:43 to 08:45, it was not longer silent than it may be."""
    hour.deaf(at("08:32"), at("08:43"))
    assert report(hour, None, None) == Report(49 * MINUTE)


def test_deaf_until_further_notice(hour: Ledger) -> None:
    hour.deaf(at("09:00"))
    hour.now(at("12:00"))
    assert report(hour, None, None) == QUARTER


def test_the_whole_silence_counts_although_maintenance_leaves_little_of_it(hour: Ledger) -> None:
    """Maintenance says what is expected, not what could be heard: one minute of a silence of 15 is down time."""
    hour.maintenance("site", "north", at("08:31"), at("09:00"))
    found = report(hour, None, None)
    assert (found.observed, found.silent, found.silences) == (31 * MINUTE, MINUTE, 1)
