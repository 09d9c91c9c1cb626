"""What is told: by site, within a budget, in documented shapes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from hvac_heartbeat.store.telling import LEASE_S
from tests.database.telling.conftest import site, texts

if TYPE_CHECKING:
    from tests.database.telling.conftest import Fleet

SCHEMA = json.loads(Path(__file__).parents[3].joinpath("docs", "messages.schema.json").read_text(encoding="utf-8"))
STORM = {f"storm-{number:02}": site(f"storm-{number:02}", 1 + number % 3) for number in range(60)}
STORMY = [device for devices in STORM.values() for device in devices]
# Twice as many that are heard, so that the fleet is not silent; and so many that sixty sites are not many at once.
QUIET = [device for number in range(120) for device in site(f"quiet-{number}", 1)]
CROWD = [device for number in range(600) for device in site(f"quiet-{number}", 1)]


def shape(body: dict[str, Any]) -> str:
    return f"{body['kind']} {body['scope']}"


@pytest.fixture(autouse=True)
def every_message_has_its_shape(fleet: Fleet) -> Any:
    yield
    written = fleet.rows("SELECT kind, scope, site_id, dedup_id, body FROM silence_message ORDER BY id")
    for message in written:
        jsonschema_rs.validate(SCHEMA, message["body"], validate_formats=True)
        assert (message["kind"], message["scope"]) == (message["body"]["kind"], message["body"]["scope"])
        assert message["site_id"] == message["body"].get("site_id")
        assert len(message["dedup_id"]) <= 128  # what SNS takes
        assert len(json.dumps(message["body"])) < 200_000
    assert written, "a test of messages that wrote none"


def test_a_storm_of_sixty_sites_is_seven_messages_and_seven_on_return(fleet: Fleet) -> None:
    fleet.live(600, *STORMY, *CROWD)
    told = fleet.live(600, *STORMY, *CROWD, silent=STORMY)
    assert [shape(body) for body in told] == ["Silence Opened site"] * 6 + ["Silence Opened digest"]
    assert {body["devices"] for body in told[:6]} == {3}, "the largest have messages of their own"
    assert (told[6]["sites"], told[6]["told"]) == (54, len(STORMY) - 18)
    assert told[6]["text"].startswith("54 more sites: storm-20: 3 of 3 silent since 02:10 UTC; ")
    fleet.live(600, *STORMY, *CROWD, silent=STORMY)
    back = fleet.live(900, *STORMY, *CROWD)
    assert [shape(body) for body in back] == ["Silence Ended site"] * 6 + ["Silence Ended digest"]
    assert fleet.one("SELECT count(*) FROM episode WHERE told_open AND told_closed") == len(STORMY)


def test_never_more_than_ten_messages_in_ten_minutes_and_nothing_is_lost(fleet: Fleet) -> None:
    """Every minute some sites fall silent and others are back, for an hour; then all are back."""
    everybody = [*STORMY, *CROWD]
    fleet.live(600, *everybody)
    names = list(STORM)
    for minute in range(60):
        silent = {name for place, name in enumerate(names) if (minute + place) % 60 < 20}
        fleet.live(60, *everybody, silent=[device for name in silent for device in STORM[name]])
    fleet.live(3_600, *everybody)
    most = fleet.one(
        "SELECT max((SELECT count(*) FROM silence_message AS other WHERE other.created_at <= message.created_at "
        "AND other.created_at > message.created_at - interval '10 minutes')) FROM silence_message AS message"
    )
    assert 6 < most <= 10
    assert fleet.one("SELECT count(*) FROM episode WHERE NOT told_closed") == 0
    told = fleet.one(
        "SELECT sum((body->>'told')::int) FROM silence_message WHERE kind = 'Silence Opened' AND scope <> 'standing'"
    )
    assert told == fleet.one("SELECT count(*) FROM episode WHERE told_open")
    assert fleet.one("SELECT sum((body->>'told')::int) FROM silence_message WHERE kind = 'Silence Ended'") == told


def test_what_stands_for_over_a_day_is_told_again_once_a_day(fleet: Fleet) -> None:
    dead = site("building-a", 3)
    fleet.run("INSERT INTO liveness_policy VALUES ('fleet', '', '20 min')")
    fleet.live(600, *dead, *QUIET)
    assert len(fleet.live(1_860, *dead, *QUIET, silent=dead)) == 1
    told = []
    for _ in range(50 * 6):  # ten minutes at a time, for fifty hours
        fleet.wait(540)
        fleet.beat(*QUIET)
        told += fleet.live(60, *QUIET)
    assert [shape(body) for body in told] == ["Silence Opened standing"] * 2
    assert told[0]["text"] == "3 devices at 1 site silent for over a day: building-a 3"


def test_a_site_that_is_partly_silent_says_how_many_of_how_many(fleet: Fleet) -> None:
    building = site("building-a", 20)
    fleet.live(840, *building, *QUIET)
    [opened] = fleet.live(600, *building, *QUIET, silent=building[:11])
    assert opened["text"] == "building-a: 11 of 20 silent since 02:14 UTC"
    assert (opened["is_dark"], opened["device_ids"]) == (False, building[:11])
    [ended] = fleet.live(600, *building, *QUIET, silent=building[:2])
    assert ended["text"] == "building-a: 9 of 20 back since 02:24 UTC, 2 still silent"


def test_devices_that_come_back_at_another_site_are_not_more_than_theirs_has(fleet: Fleet) -> None:
    building = site("building-a", 3)
    fleet.live(600, *building, *QUIET)
    fleet.live(300, *building, *QUIET, silent=building)
    moved = (
        "UPDATE device_state SET site_id = 'building-b', last_seen_ts = now(), updated_at = now() WHERE site_id = %s"
    )
    fleet.run(moved, "building-a")
    [ended] = fleet.live(120, *QUIET)
    assert ended["text"] == "building-a: 3 back since 02:15 UTC"


def test_the_fleet_has_a_shape_too(fleet: Fleet) -> None:
    fleet.live(600, *QUIET)
    told = [*fleet.live(300, *QUIET, silent=QUIET), *fleet.live(300, *QUIET)]
    assert [(body["state"], body["devices"]) for body in told] == [("began", 120), ("ended", 120)]


def test_messages_and_the_episodes_that_are_over_are_kept_for_thirty_days(fleet: Fleet) -> None:
    dead = site("building-a", 3)
    fleet.live(600, *dead, *QUIET)
    fleet.live(300, *dead, *QUIET, silent=dead)
    fleet.live(300, *dead, *QUIET)
    fleet.live(300, *dead, *QUIET, silent=dead[:1])  # which lasts
    for days, kept in ((29, 3), (31, 0)):
        with fleet.connection.transaction(force_rollback=True):
            fleet.wait(days * 86_400)
            fleet.beat(*dead[1:], *QUIET)
            fleet.sweep()
            assert fleet.one("SELECT count(*) FROM silence_message WHERE scope = 'site'") == kept
            assert fleet.one("SELECT count(*) FROM episode WHERE closed_at IS NOT NULL") == kept
            assert fleet.one("SELECT device_id FROM episode WHERE closed_at IS NULL") == dead[0]
        fleet.wait(-days * 86_400)


def test_the_same_news_is_never_two_messages(fleet: Fleet) -> None:
    dead = site("building-a", 3)
    fleet.live(600, *dead, *QUIET)
    fleet.live(300, *dead, *QUIET, silent=dead)
    fleet.run("UPDATE episode SET told_open = false")  # as if somebody had tampered with it
    assert texts(fleet.live(60, *QUIET)) == []


def test_what_is_new_is_leased_before_what_failed_so_that_one_bad_channel_keeps_no_other_waiting(fleet: Fleet) -> None:
    a, b = site("building-a", 3), site("building-b", 3)
    fleet.live(600, *a, *b, *QUIET)
    fleet.live(300, *a, *b, *QUIET, silent=a)
    fleet.run("UPDATE silence_message SET attempts = 3, delivered_to = '{eventbridge}'")
    fleet.live(300, *a, *b, *QUIET, silent=[*a, *b])
    [leased] = fleet.rows("SELECT body->>'site_id' AS site FROM lease_messages('{eventbridge,webhook}', 1)")
    assert leased == {"site": "building-b"}
    assert fleet.one("SELECT max(leased_until) - now() FROM silence_message") == timedelta(seconds=LEASE_S)
