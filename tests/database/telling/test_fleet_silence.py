"""When almost nobody of the fleet is heard: one message about us or the fleet, none about devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.database.telling.conftest import START, site, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.database.telling.conftest import Fleet

SITES = {name: site(name, 5) for name in "abcdefghij"}
ALL = [device for devices in SITES.values() for device in devices]


def states(bodies: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{body['kind']} {body.get('state', body['scope'])}" for body in bodies]


def deaf(fleet: Fleet) -> list[tuple[float, float, str]]:
    """Return the deaf intervals: minutes after the start, and the evidence."""
    return [
        ((row["starts_at"] - START).total_seconds() / 60, (row["ends_at"] - START).total_seconds() / 60, row["note"])
        for row in fleet.rows("SELECT starts_at, ends_at, note FROM deaf_interval ORDER BY starts_at")
    ]


def test_a_silent_fleet_is_one_message_and_one_on_its_return(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    began = fleet.live(1_200, *ALL, silent=ALL)
    [text] = texts(began)
    assert text.startswith("Almost nobody of the fleet has been heard since 02:10 UTC: 50 of 50 devices are silent; ")
    ended = fleet.live(1_200, *ALL)
    assert texts(ended) == [
        "Devices are told of again; many at once were not heard, or were late, from 02:10 UTC to 02:31 UTC"
    ]
    assert fleet.one("SELECT count(*) FROM episode") == 0


def test_without_evidence_that_it_was_us_the_silence_counts(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(1_200, *ALL, silent=ALL)
    fleet.live(600, *ALL)
    assert deaf(fleet) == []
    assert fleet.one("SELECT bool_and(counts) FROM v_silences")


def test_an_outage_of_the_database_is_a_deaf_interval_and_no_message_about_devices(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.wait(600)  # no heartbeat can be written, no sweep can run
    half = ALL[::2]
    fleet.beat(*half)
    told = fleet.sweep(unreachable_for=540)
    told += fleet.live(600, *ALL)
    assert states(told) == ["Ingest Deaf ended"]
    assert deaf(fleet) == [(10, 20, "the database could not be reached")]
    assert fleet.one("SELECT bool_or(counts) FROM v_silences") is False


def test_a_fleet_of_one_site_is_not_told_silent_after_our_outage(fleet: Fleet) -> None:
    fleet.live(600, *SITES["a"])
    fleet.wait(600)
    fleet.beat(*SITES["a"][:2])
    told = fleet.sweep(unreachable_for=540)
    told += fleet.live(600, *SITES["a"])
    assert states(told) == ["Ingest Deaf ended"]


def test_a_sweep_that_came_late_sees_that_the_fleet_was_silent(fleet: Fleet) -> None:
    """Nothing ran: neither the heartbeats nor the sweep, and nobody is left who knows of a failure."""
    fleet.live(600, *ALL)
    fleet.wait(1_200)
    fleet.beat(*ALL[::2])
    told = fleet.sweep()
    told += fleet.live(600, *ALL)
    assert states(told) == ["Ingest Deaf ended"]


def test_a_canary_that_did_not_come_through_is_evidence(fleet: Fleet) -> None:
    everybody = [*ALL, "canary/1"]
    fleet.live(600, *everybody)
    fleet.live(300, *everybody, silent=everybody, sweeps=False)
    assert states(fleet.sweep(canary="canary/1")) == ["Ingest Deaf began"]
    fleet.live(300, *everybody)
    assert deaf(fleet) == [(10, 16, "the canary was not heard")]


def test_a_canary_that_was_heard_is_none(fleet: Fleet) -> None:
    fleet.live(600, *ALL, "canary/1")
    fleet.live(300, *ALL, "canary/1", silent=ALL, sweeps=False)
    assert states(fleet.sweep(canary="canary/1")) == ["Ingest Deaf began"]
    fleet.live(300, *ALL, "canary/1")
    assert deaf(fleet) == []


def test_heartbeats_that_were_written_late_are_evidence(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(600, *ALL, silent=ALL)
    fleet.beat(*SITES["a"], ago=300)
    fleet.sweep()
    fleet.live(300, *ALL)
    assert deaf(fleet) == [(10, 21, "heartbeats were written late")]


def test_a_backlog_that_is_drained_tells_of_nobody(fleet: Fleet) -> None:
    """The queue kept all that came in the outage, and gives it in any order, for longer than any time of grace."""
    fleet.live(600, *ALL)
    fleet.wait(1_800)
    told: list[dict[str, Any]] = []
    for step in range(12):  # a minute each: the backlog shrinks by two and a half minutes of heartbeats
        for number, device in enumerate(ALL):
            if number % 12 <= step:
                fleet.beat(device, ago=1_800 - step * 150)
        told += fleet.sweep(unreachable_for=1_740 if step == 0 else None)
        fleet.wait(60)
    told += fleet.live(600, *ALL)
    assert [body for body in told if body["kind"] != "Ingest Deaf"] == []


def test_what_died_while_we_were_deaf_is_told_after_one_full_grace(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.wait(600)
    alive = [device for device in ALL if device not in SITES["a"]]
    fleet.beat(*alive)
    fleet.sweep(unreachable_for=540)
    assert fleet.live(180, *alive) == []
    assert texts(fleet.live(60, *alive)) == ["a: 5 of 5 silent since 02:10 UTC"]


def test_devices_that_are_dead_for_long_do_not_make_a_fleet_silent(fleet: Fleet) -> None:
    """Where nine of ten rows of an old table are of devices that nobody has, the living ones are told of."""
    for number in range(500):
        fleet.beat(f"old-{number % 50}/{number}", ago=30 * 86_400)
    fleet.run("DELETE FROM first_heartbeat")
    fleet.live(1_200, *ALL)
    told = fleet.live(300, *ALL, silent=SITES["a"])
    assert "a: 5 of 5 silent since 02:20 UTC" in texts(told)


def test_no_device_is_told_back_before_the_fleet_is(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=SITES["a"])
    assert states(fleet.live(300, *ALL, silent=ALL)) == ["Ingest Deaf began"]
    assert fleet.live(300, *SITES["a"]) == []
    assert states(fleet.live(300, *ALL)) == ["Ingest Deaf ended", "Silence Ended site"]


def test_while_we_are_behind_nobody_is_told_of(fleet: Fleet) -> None:
    """A queue that is always minutes behind makes everybody look silent, one after the other."""
    fleet.live(600, *ALL)
    told: list[dict[str, Any]] = []
    for _ in range(10):
        fleet.wait(60)
        fleet.beat(*ALL[:25], ago=150)
        told += fleet.sweep()
    assert states(told) == ["Ingest Deaf began"]
    assert states(fleet.live(600, *ALL)) == ["Ingest Deaf ended"]


def test_no_device_is_told_of_while_our_outage_does_not_show_yet(fleet: Fleet) -> None:
    """Who beat long before our outage is due before everybody is stale, but nobody else was heard since either."""
    fleet.live(600, *ALL)
    fleet.live(90, *ALL, silent=SITES["a"])
    fleet.wait(100)
    assert fleet.sweep() == []
    fleet.wait(25)
    assert states(fleet.sweep()) == ["Ingest Deaf began"]


def test_a_fleet_too_small_to_count_as_silent_is_told_of_all_the_same(fleet: Fleet) -> None:
    both = SITES["a"] + SITES["b"]
    fleet.live(600, *both)
    fleet.live(90, *both, silent=SITES["a"])
    fleet.wait(100)
    assert fleet.sweep() == []
    fleet.wait(25)
    assert texts(fleet.sweep()) == ["a: 5 of 5 silent since 02:10 UTC"]


def test_a_fleet_that_is_seldom_heard_is_told_of_in_time(fleet: Fleet) -> None:
    fleet.run("INSERT INTO liveness_policy (scope, subject, stale_after) VALUES ('fleet', '', '10 minutes')")
    fleet.live(600, *ALL)
    told: list[dict[str, Any]] = []
    for minute in range(15):
        if minute % 5 == 3:
            fleet.beat(*ALL[5:])
        fleet.wait(60)
        told += fleet.sweep()
    assert told == []
    fleet.wait(1)
    assert texts(fleet.sweep()) == ["a: 5 of 5 silent since 02:10 UTC"]
