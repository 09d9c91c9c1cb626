"""When many sites fall silent at once: it may be a way in of ours, so it is one message, and none about devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.database.telling.conftest import site, texts
from tests.database.telling.test_fleet_silence import ALL, SITES, deaf, states

if TYPE_CHECKING:
    from typing import Any

    from tests.database.telling.conftest import Fleet


def test_no_device_of_one_way_in_is_told_of_while_its_outage_does_not_show_yet(fleet: Fleet) -> None:
    """The queue stops, and the others are heard over HTTP."""
    queued = SITES["a"] + SITES["b"] + SITES["c"]
    fleet.live(600, *ALL)
    fleet.live(90, *ALL, silent=SITES["a"])
    for _ in range(4):
        fleet.wait(25)
        fleet.beat(*(device for device in ALL if device not in queued))
        assert fleet.sweep() == []
    fleet.wait(25)
    assert states(fleet.sweep()) == ["Ingest Deaf began"]


def test_a_tenth_of_the_sites_at_once_is_one_message_and_one_on_return(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    silent = SITES["a"] + SITES["b"] + SITES["c"]
    [began] = texts(fleet.live(1_200, *ALL, silent=silent))
    assert began.startswith(
        "Many devices at once have not been heard, or were late, since 02:10 UTC: 15 of 50 devices are silent; "
    )
    [ended] = texts(fleet.live(1_200, *ALL))
    assert ended == "Devices are told of again; many at once were not heard, or were late, from 02:10 UTC to 02:31 UTC"
    assert deaf(fleet) == []
    assert fleet.one("SELECT count(*) FROM episode") == 0


def test_what_fell_silent_at_once_is_told_by_site_after_half_an_hour(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    silent = SITES["a"] + SITES["b"] + SITES["c"]
    told = fleet.live(3_600, *ALL, silent=silent)
    assert states(told) == ["Ingest Deaf began", "Ingest Deaf ended", *["Silence Opened site"] * 3]
    assert {body["silent_from"][11:16] for body in told[2:]} == {"02:10"}


def test_sites_that_fell_silent_one_after_the_other_are_told_of(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    told = fleet.live(120, *ALL, silent=SITES["a"])
    told += fleet.live(120, *ALL, silent=SITES["a"] + SITES["b"])
    told += fleet.live(300, *ALL, silent=SITES["a"] + SITES["b"] + SITES["c"])
    assert states(told) == ["Silence Opened site"] * 3


def test_a_few_late_heartbeats_among_many_do_not_hush_the_fleet(fleet: Fleet) -> None:
    """One in a hundred of what is written is late where a queue is behind; a single batch is tried again every day."""
    many = [f"{site}/{number}" for site in "abcdefghij" for number in range(50)]
    fleet.live(600, *many)
    for late, hushed in ((4, []), (5, ["Ingest Deaf began"])):
        fleet.wait(70)
        fleet.beat(*many[late:])
        fleet.beat(*many[:late], ago=61)
        assert states(fleet.sweep()) == hushed


def test_a_site_of_five_hundred_is_one_message_within_240_seconds_and_one_on_return(fleet: Fleet) -> None:
    """Its devices beat once a minute, each at its own second, and it is swept once a minute."""
    large = site("large", 500)
    fleet.live(600, *large, *ALL)
    for second in range(0, 60, 10):
        fleet.wait(10)
        fleet.beat(*large[second // 10 :: 6], *ALL)
    told: list[dict[str, Any]] = []
    while not told:
        fleet.live(60, *ALL, sweeps=False)
        told = fleet.sweep()
    assert texts(told) == ["large: 500 of 500 silent since 02:10 UTC"]
    oldest = fleet.one("SELECT extract(epoch FROM now() - min(last_seen_ts)) FROM device_state WHERE site_id = 'large'")
    assert 180 < oldest <= 240
    assert fleet.live(1_800, *ALL) == []
    back = fleet.live(600, *large, *ALL)
    assert [text.partition(" back ")[0] for text in texts(back)] == ["large: 500 of 500"]
