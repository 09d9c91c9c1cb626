"""The limits of what is said of the fleet: how late evidence may come, what a late sweep sees, how often it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.telling.conftest import site, texts
from tests.database.telling.test_fleet_silence import ALL, SITES, deaf, states

if TYPE_CHECKING:
    from tests.database.telling.conftest import Fleet


@pytest.mark.parametrize(("minutes", "evidence"), [(59, ["the database could not be reached"]), (61, [])])
def test_evidence_may_come_within_an_hour_of_the_end(minutes: int, evidence: list[str], fleet: Fleet) -> None:
    """Whoever could not reach the database then may sweep again much later."""
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=ALL)
    assert states(fleet.live(120, *ALL)) == ["Ingest Deaf ended"]
    ended = fleet.one("SELECT ended_at FROM fleet_silence")
    fleet.live((minutes * 60) - (fleet.now - ended).total_seconds(), *ALL, sweeps=False)
    fleet.sweep(unreachable_for=minutes * 60 + 60)
    assert [note for _, _, note in deaf(fleet)] == evidence


@pytest.mark.parametrize(("seconds", "seen"), [(150, ["Ingest Deaf ended"]), (210, [])])
def test_a_late_sweep_sees_what_came_back_within_three_minutes(seconds: int, seen: list[str], fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.wait(1_200)
    fleet.beat(*ALL)
    fleet.live(seconds, *ALL, sweeps=False)
    assert states(fleet.sweep()) == seen


@pytest.mark.parametrize(("unreachable", "seen"), [(540, ["Ingest Deaf ended"]), (None, [])])
def test_a_fleet_of_two_sites_was_silent_only_where_the_database_was_away(
    unreachable: int | None, seen: list[str], fleet: Fleet
) -> None:
    both = [*site("a", 5), *site("b", 5)]
    fleet.live(600, *both)
    fleet.wait(600)
    fleet.beat(*both)
    assert states(fleet.sweep(unreachable_for=unreachable)) == seen


def test_the_fleet_is_told_of_twice_in_ten_minutes_at_most(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    told: list[tuple[int, str]] = []
    for silent in [*[True] * 4, False, *[True] * 12]:
        said = states(fleet.live(60, *ALL, silent=ALL if silent else ()))
        told += [(fleet.now.minute, what) for what in said]
    assert told == [(13, "Ingest Deaf began"), (15, "Ingest Deaf ended"), (23, "Ingest Deaf began")]


def test_what_is_over_for_ten_minutes_and_could_not_be_told_makes_no_news_late(fleet: Fleet) -> None:
    """Every other minute some of a queue's heartbeats are late, more often than may be told."""
    fleet.live(600, *ALL)
    for minute in range(40):
        fleet.wait(60)
        fleet.beat(*ALL[5:])
        if minute % 2:
            fleet.beat(*ALL[:5], ago=61)
        fleet.sweep()
    assert fleet.one("SELECT count(*) FROM fleet_silence WHERE NOT told_ended") <= 6
    assert "Ingest Deaf began" in states(fleet.live(1_200, *ALL, silent=ALL))


def test_a_clock_that_is_set_back_in_the_silence_of_the_fleet_stops_no_sweep(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=ALL)
    fleet.wait(-599)
    fleet.run("UPDATE device_state SET last_seen_ts = now(), updated_at = now()")
    assert states(fleet.sweep(unreachable_for=60)) == ["Ingest Deaf ended"]
    assert deaf(fleet) == []
    fleet.run("UPDATE fleet_silence SET ended_at = now() + interval '1 year'")
    assert texts(fleet.live(300, *ALL, silent=SITES["a"])) == ["a: 5 of 5 silent since 02:05 UTC"]
    fleet.run("UPDATE silence_message SET created_at = now() + interval '1 year'")
    fleet.sweep()
    assert states(fleet.live(300, *ALL, silent=ALL)) == ["Ingest Deaf began"]
