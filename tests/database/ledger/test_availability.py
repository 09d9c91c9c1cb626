"""How available a device was, and a site: device_availability, site_availability."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import at
from tests.database.ledger.reports import HOUR, MINUTE, NONE, NOTHING, QUARTER, Report, report, steady

if TYPE_CHECKING:
    from datetime import datetime

    from tests.database.ledger.clock import Ledger


def test_a_quarter_of_an_hour_in_an_hour(hour: Ledger) -> None:
    assert report(hour, at("08:00"), at("09:00")) == QUARTER


@pytest.mark.parametrize(
    ("since", "until"),
    [(None, None), (at("00:00"), None), (None, at("09:00")), (None, at("23:00")), (at("08:00"), at("00:00", day=9))],
)
def test_a_bound_that_is_null_or_outside_of_what_is_known_is_none(
    hour: Ledger, since: datetime | None, until: datetime | None
) -> None:
    """The period begins with the first heartbeat at the earliest, and ends now at the latest."""
    assert report(hour, since, until) == QUARTER


def test_infinite_bounds_are_none_too(hour: Ledger) -> None:
    row = hour.one("SELECT * FROM device_availability('-infinity', 'infinity')")
    assert Report(*row[2:]) == QUARTER


@pytest.mark.parametrize(
    ("since", "until", "silent"),
    [
        ("08:35", "08:40", "5"),
        ("08:35", "08:50", "10"),
        ("08:20", "08:31", "1"),
        ("08:30", "08:45", "15"),
    ],
)
def test_of_a_silence_across_a_bound_the_part_within_is_silent(
    hour: Ledger, since: str, until: str, silent: str
) -> None:
    """It counts also where less than stale_after of it lies within."""
    inside = int(silent) * MINUTE
    observed = at(until) - at(since)
    share = 1 - Decimal(inside // MINUTE) / Decimal(observed // MINUTE)
    found = report(hour, at(since), at(until))
    assert found.availability == pytest.approx(share)
    assert found == Report(observed, inside, found.availability, 1, inside, inside)


@pytest.mark.parametrize(("since", "until"), [("08:00", "08:30"), ("08:45", "09:00")])
def test_a_silence_that_only_touches_the_period_is_not_in_it(hour: Ledger, since: str, until: str) -> None:
    assert report(hour, at(since), at(until)) == Report(at(until) - at(since))


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("08:40", "08:40"),
        ("08:50", "08:10"),
        ("09:00", "10:00"),
        ("12:00", "13:00"),
        ("06:00", "07:00"),
        ("07:00", "08:00"),
    ],
)
def test_without_observed_time_there_is_no_availability(hour: Ledger, since: str, until: str) -> None:
    """An empty period, a backward one, the future, and what was before the first heartbeat."""
    assert report(hour, at(since), at(until)) == NOTHING


def test_a_lasting_silence_is_silent_until_now(hour: Ledger) -> None:
    hour.now(at("09:02"))
    assert report(hour, at("09:00"), None) == Report(2 * MINUTE)
    hour.now(at("10:00"))
    assert report(hour, at("09:00"), None) == Report(HOUR, HOUR, Decimal(0), 1, HOUR, HOUR)
    assert report(hour, at("08:50"), at("09:10")) == Report(
        20 * MINUTE, 10 * MINUTE, Decimal("0.5"), 1, 10 * MINUTE, 10 * MINUTE
    )


def test_several_silences(hour: Ledger) -> None:
    hour.heartbeat("a", at("09:05"))
    hour.now(at("09:25"))
    assert report(hour, at("08:05"), None) == Report(
        80 * MINUTE, 40 * MINUTE, Decimal("0.5"), 3, 20 * MINUTE, timedelta(seconds=800)
    )


def test_only_silences_longer_than_the_rule_count(hour: Ledger) -> None:
    hour.policy("site", "north", "15 minutes")
    assert report(hour, None, None) == Report(HOUR)
    hour.policy("device", "a", "14 minutes 59.999999 seconds")
    assert report(hour, None, None) == QUARTER


def test_a_device_that_moved_is_reported_at_its_present_site_with_all_its_time(hour: Ledger) -> None:
    hour.maintenance("site", "north", at("08:00"), at("08:30"))
    hour.heartbeat("a", at("09:00"), site="south")
    row = hour.one("SELECT site_id, observed, silent FROM device_availability(NULL, NULL)")
    assert row == ("south", HOUR, 15 * MINUTE)
    assert hour.rows("SELECT site_id, devices, silent FROM site_availability(NULL, NULL)") == [
        ("south", 1, 15 * MINUTE)
    ]


def test_a_device_that_is_no_longer_in_the_table_is_in_no_report(hour: Ledger) -> None:
    hour.connection.execute("DELETE FROM device_state")
    assert hour.rows("SELECT * FROM device_availability(NULL, NULL)") == []
    assert hour.rows("SELECT * FROM site_availability(NULL, NULL)") == []


def test_a_site_s_figures_are_its_devices_together(hour: Ledger) -> None:
    steady(hour, "b", at("08:00"), at("08:10"))
    steady(hour, "b", at("08:20"), at("08:40"))
    steady(hour, "b", at("08:45"), at("09:00"))
    steady(hour, "c", at("08:00"), at("09:00"), site="south")
    assert hour.rows("SELECT * FROM site_availability(%s, NULL) ORDER BY site_id", at("08:00")) == [
        ("north", 2, 2 * HOUR, 30 * MINUTE, Decimal("0.75"), 3, 15 * MINUTE, 10 * MINUTE),
        ("south", 1, HOUR, NONE, Decimal(1), 0, NONE, None),
    ]
    assert hour.rows("SELECT * FROM site_availability(%s, NULL) ORDER BY site_id", at("09:00")) == [
        ("north", 2, NONE, NONE, None, 0, NONE, None),
        ("south", 1, NONE, NONE, None, 0, NONE, None),
    ]


def test_intervals_are_told_in_days_and_hours(ledger: Ledger) -> None:
    """Not as the 31 days of 24 hours and 38 hours that a sum of them is."""
    steady(ledger, "a", at("08:00"), at("08:10"))
    for window in range(1, 20):
        ledger.maintenance("device", "a", at("05:00", day=window), at("06:00", day=window))
    ledger.now(at("08:00", day=21))
    columns = "observed::text, silent::text, longest::text, mean_time_to_return::text"
    figures = ledger.one(f"SELECT {columns} FROM device_availability(NULL, NULL)")  # noqa: S608
    assert figures == ("19 days 06:00:00", "19 days 05:50:00", "19 days 05:50:00", "19 days 05:50:00")
    figures = ledger.one(f"SELECT {columns} FROM site_availability(NULL, NULL)")  # noqa: S608
    assert figures == ("19 days 06:00:00", "19 days 05:50:00", "19 days 05:50:00", "19 days 05:50:00")


@pytest.mark.parametrize(
    "answer",
    [
        "v_device_liveness",
        "v_site_liveness",
        "v_silences",
        "device_availability(NULL, NULL)",
        "site_availability(NULL, NULL)",
    ],
)
def test_a_new_ledger_s_answers_are_not_worth_compiling(hour: Ledger, answer: str) -> None:
    """Without statistics PostgreSQL guesses the tables' sizes; above jit_above_cost it compiles for a second or two."""
    (limit,) = hour.one("SELECT boot_val::float8 FROM pg_settings WHERE name = 'jit_above_cost'")
    ((plan,),) = hour.one(f"EXPLAIN (FORMAT JSON) SELECT * FROM {answer}")  # noqa: S608 - ours
    assert plan["Plan"]["Total Cost"] < limit


def test_a_report_on_one_device_reads_that_device_alone(hour: Ledger) -> None:
    """PostgreSQL opens the function, so that the condition reaches the ledger's key."""
    hour.connection.execute("SET enable_seqscan = off")  # for a table of one row it would not use an index
    lines = hour.rows("EXPLAIN SELECT * FROM device_availability(NULL, NULL) WHERE device_id = 'a'")
    plan = "\n".join(line for (line,) in lines)
    assert "Function Scan on device_availability" not in plan
    assert "Seq Scan on silence" not in plan
    assert "Index Cond: ((device_id = 'a'::text) AND (silent_from <" in plan
