"""Every silence and whether it counts: v_silences."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import at

if TYPE_CHECKING:
    from tests.database.ledger.clock import Ledger

SILENCES = "SELECT silent_from, silent_to, counts FROM v_silences ORDER BY device_id, silent_from"


def test_a_silence_is_a_gap_of_more_than_120_seconds(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"), at("08:02"), at("08:04:00.000001"))
    ledger.now(at("08:05"))
    assert ledger.rows("SELECT * FROM v_silences") == [
        ("a", "north", at("08:02"), at("08:04:00.000001"), timedelta(minutes=2, microseconds=1), True)
    ]


def test_a_silence_that_lasts_has_no_end_and_grows(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.now(at("08:02"))
    assert ledger.rows(SILENCES) == []
    for time in ("08:02:01", "09:00"):
        ledger.now(at(time))
        assert ledger.rows("SELECT silent_from, silent_to, length FROM v_silences") == [
            (at("08:00"), None, at(time) - at("08:00"))
        ]


def test_a_silence_is_its_first_heartbeat_s_site_s(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"), site="north")
    ledger.heartbeat("a", at("09:00"), site="south")
    ledger.now(at("10:00"))
    assert ledger.rows("SELECT site_id, silent_to FROM v_silences ORDER BY silent_from") == [
        ("north", at("09:00")),
        ("south", None),
    ]


def test_the_rule_of_today_says_what_counts_in_the_past(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"), at("08:05"), at("08:15"))
    ledger.now(at("08:15"))
    assert ledger.rows(SILENCES) == [(at("08:00"), at("08:05"), True), (at("08:05"), at("08:15"), True)]
    ledger.policy("site", "north", "5 minutes")
    assert ledger.rows(SILENCES) == [(at("08:00"), at("08:05"), False), (at("08:05"), at("08:15"), True)]
    ledger.connection.execute("DELETE FROM liveness_policy")
    assert ledger.rows(SILENCES) == [(at("08:00"), at("08:05"), True), (at("08:05"), at("08:15"), True)]


def test_a_silence_counts_only_by_what_we_could_hear_without_a_break(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("10:00"), at("10:34"))
    ledger.now(at("10:35"))
    ledger.deaf(at("10:02"), at("10:32"))
    assert ledger.rows(SILENCES) == [(at("10:00"), at("10:34"), False)]
    ledger.connection.execute("UPDATE deaf_interval SET ends_at = ends_at - interval '1 microsecond'")
    assert ledger.rows(SILENCES) == [(at("10:00"), at("10:34"), True)]


def test_a_lasting_silence_counts_when_the_device_is_stale(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:59"))
    ledger.deaf(at("10:00"), at("10:30"))
    for time, counts in (("10:20", False), ("10:32", False), ("10:32:01", True)):
        ledger.now(at(time))
        assert ledger.rows(SILENCES) == [(at("09:59"), None, counts)], time


def test_a_device_that_is_no_longer_in_the_table_keeps_its_silences(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"), at("09:00"))
    ledger.connection.execute("DELETE FROM device_state")
    ledger.now(at("10:00"))
    assert ledger.rows(SILENCES) == [(at("08:00"), at("09:00"), True)]


@pytest.mark.parametrize("until", ["infinity", "2099-01-01 00:00Z"])
def test_another_program_s_time_from_the_future_ends_no_silence(ledger: Ledger, until: str) -> None:
    ledger.heartbeat("a", at("08:00"))
    ledger.now(at("09:00"))
    ledger.connection.execute("UPDATE device_state SET last_seen_ts = %s", [until])
    assert ledger.rows("SELECT silent_from, length, counts FROM v_silences") == [
        (at("08:00"), timedelta(hours=1), True)
    ]
    assert ledger.one("SELECT silent, silences FROM device_availability(NULL, NULL)") == (timedelta(hours=1), 1)
    ledger.heartbeat("a", at("09:00"))
    assert ledger.rows(SILENCES) == [(at("08:00"), at("09:00"), True)]


def test_what_began_at_no_time_is_left_out(ledger: Ledger) -> None:
    ledger.connection.execute("INSERT INTO silence VALUES ('a', '-infinity', '2026-10-01 08:00Z', 'north')")
    ledger.connection.execute("INSERT INTO silence VALUES ('a', '2099-01-01', '2100-01-01', 'north')")
    ledger.heartbeat("a", at("08:00"))
    ledger.now(at("08:01"))
    assert ledger.rows(SILENCES) == []
    assert ledger.one("SELECT silences FROM device_availability('-infinity', 'infinity')") == (0,)
