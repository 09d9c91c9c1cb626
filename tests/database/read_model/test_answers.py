"""What the read model answers of a fleet, exactly."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.local.read_model import answers
from hvac_heartbeat.local.read_model.model import LedgerMissing

if TYPE_CHECKING:
    from hvac_heartbeat.local.read_model.model import ReadModel
    from tests.database.read_model.conftest import Fleet

TWO_MINUTES = timedelta(seconds=120)


def counts(devices: int, online: int, stale: int) -> dict[str, Any]:
    rest = dict.fromkeys(("unknown", "in_maintenance", "not_delivering"), 0)
    return {"devices": devices, "online": online, "stale": stale, **rest}


def test_an_empty_database_is_a_fleet_of_nobody(fleet: Fleet, model: ReadModel) -> None:
    nobody: dict[str, Any] = dict.fromkeys(
        ("devices", "online", "stale", "unknown", "in_maintenance", "not_delivering"), 0
    )
    assert model.fleet() == answers.Fleet(
        **nobody, sites=0, dark_sites=0, newest_heartbeat=None, has_ledger=True, has_telling=True, open_episodes=0
    )
    assert model.sites() == answers.Page([], None)
    assert (model.site("north"), model.device("unit-1")) == (None, None)
    assert (model.silences(), model.overview().stale_devices, model.overview().not_delivering) == (
        answers.Page([], None),
        [],
        [],
    )


def test_the_fleet_is_counted_with_what_was_told_and_since_when_we_are_deaf(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "north", 30)
    fleet.beat("b", "south", 1)
    fleet.beat("c", "south", 0, queue_depth=4, uploaded=90)
    fleet.beat("d", "south", 20)
    fleet.beat("e", "west", 20)
    fleet.connection.execute("INSERT INTO maintenance_window (scope, subject) VALUES ('site', 'west')")
    fleet.connection.execute("INSERT INTO deaf_interval (starts_at) VALUES (%s)", [fleet.ago(1)])
    fleet.connection.execute("INSERT INTO episode (device_id, site_id, silent_from, opened_at)"
                             " VALUES ('a', 'north', now(), now())")  # fmt: skip
    fleet.connection.execute("INSERT INTO fleet_silence (silent_from, opened_at, evidence) VALUES (%s, now(), 'late')",
                             [fleet.ago(9)])  # fmt: skip
    fleet.connection.execute(
        "INSERT INTO silence_message (dedup_id, kind, scope, site_id, body, created_at, next_attempt_at)"
        """ VALUES ('1', 'Silence Opened', 'site', 'north', '{"text": "north is dark"}', %s, now())""",
        [fleet.ago(2)],
    )
    assert model.fleet() == answers.Fleet(
        devices=5,
        online=2,
        stale=2,
        unknown=0,
        in_maintenance=1,
        not_delivering=1,
        sites=3,
        dark_sites=1,
        newest_heartbeat=fleet.now,
        has_ledger=True,
        has_telling=True,
        deaf_since=fleet.ago(1),
        open_episodes=1,
        fleet_silence=answers.FleetSilence(fleet.ago(9), "late"),
        last_message=answers.Message(1, fleet.ago(2), "Silence Opened", "north is dark"),
    )


def test_sites_and_devices_come_worst_first(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "calm", 1)
    fleet.beat("b", "dark", 30, status="error")
    fleet.beat("c", "half", 20)
    fleet.beat("d", "half", 1, queue_depth=4, uploaded=90)
    fleet.beat("e", "half", 1, queue_depth=0)
    found = model.sites().rows
    assert [site.site_id for site in found] == ["dark", "half", "calm"]
    assert found[0] == answers.Site("dark", True, fleet.ago(30), 1, 0, 1, 0, 0, 0)  # noqa: FBT003 - a row
    half = model.site("half")
    assert half
    assert half.site == found[1] == answers.Site("half", False, None, 3, 2, 1, 0, 0, 1)  # noqa: FBT003 - a row
    assert [(one.device_id, one.liveness, one.delivering) for one in half.devices.rows] == [
        *(("c", "stale", None), ("d", "online", False), ("e", "online", True)),
    ]
    dark = model.site("dark")
    assert dark
    assert dark.devices.rows == [
        answers.Device("b", "stale", fleet.ago(30), fleet.ago(30), TWO_MINUTES, "error", None, False)  # noqa: FBT003
    ]
    assert model.overview().stale_devices == [answers.StaleDevice("c", "half", fleet.ago(20), TWO_MINUTES, None)]
    assert model.overview().not_delivering == [answers.NotDelivering("d", "half", None, 4, fleet.ago(90))]


def test_sites_are_searched_by_a_part_of_their_name_and_signs_are_signs(fleet: Fleet, model: ReadModel) -> None:
    for site in ("North-1", "north_2", "100%"):
        fleet.beat(f"at {site}", site, 1)
    for search, found in (("NORTH", ["North-1", "north_2"]), ("_", ["north_2"]), ("%", ["100%"]), ("'", [])):
        assert [site.site_id for site in model.sites(search).rows] == found


def test_a_device_has_what_a_timeline_of_thirty_days_needs(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "north", 60 * 24 * 31, 60 * 24 * 29, 70, 67, 10, 5)
    fleet.connection.execute("INSERT INTO liveness_policy VALUES ('site', 'north', '4 minutes')")
    for scope, subject, starts, ends in (("device", "a", 20, 15), ("site", "north", 60 * 24 * 40, 60 * 24 * 35)):
        fleet.connection.execute(
            "INSERT INTO maintenance_window (scope, subject, starts_at, ends_at, note) VALUES (%s, %s, %s, %s, 'why')",
            [scope, subject, fleet.ago(starts), fleet.ago(ends)],
        )
    fleet.connection.execute("INSERT INTO deaf_interval (starts_at, ends_at, note) VALUES (%s, %s, 'us')",
                             [fleet.ago(60), fleet.ago(50)])  # fmt: skip
    found = model.device("a")
    assert found
    assert (found.liveness, found.silent_from, found.stale_after) == ("stale", fleet.ago(5), timedelta(minutes=4))
    assert found.rule == answers.Rule("site", "north")
    assert found.until - found.since == timedelta(days=30)
    assert (found.until.second, found.until.microsecond) == (0, 0)
    silences = [(one.silent_from, one.silent_to, one.length, one.counts) for one in found.silences]
    assert silences == [
        (fleet.ago(5), None, None, True),
        (fleet.ago(10), fleet.ago(5), timedelta(minutes=5), True),
        (fleet.ago(67), fleet.ago(10), timedelta(minutes=57), True),
        (fleet.ago(70), fleet.ago(67), timedelta(minutes=3), False),
        (fleet.ago(60 * 24 * 29), fleet.ago(70), timedelta(days=29, minutes=-70), True),
        (fleet.ago(60 * 24 * 31), fleet.ago(60 * 24 * 29), timedelta(days=2), True),
    ]
    assert found.more_silences is False
    assert found.maintenance == [answers.Window(fleet.ago(20), fleet.ago(15), "why", "device")]
    assert found.deaf == [answers.Window(fleet.ago(60), fleet.ago(50), "us")]
    assert found.availability
    assert found.availability.silences == 5
    assert found.availability.availability
    assert Decimal(0) < found.availability.availability < Decimal("0.01")


def test_silences_of_a_site_a_device_and_a_time(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "north", 60, 50, 1)
    fleet.beat("b", "south", 40, 30)

    def starts(page: answers.Page[answers.Silence]) -> list[tuple[str, bool]]:
        return [(one.device_id, one.silent_to is None) for one in page.rows]

    assert starts(model.silences()) == [("b", True), ("b", False), ("a", False), ("a", False)]
    assert starts(model.silences(is_open=True)) == [("b", True)]
    assert starts(model.silences("north")) == [("a", False), ("a", False)]
    assert starts(model.silences(device="b", until=fleet.ago(35))) == [("b", False)]
    assert starts(model.silences("north", since=fleet.ago(45))) == [("a", False)]
    assert starts(model.silences("north", "b")) == []


def test_worst_sites_are_worked_out_after_they_were_asked_for(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "north", 60, 50, 1)
    fleet.beat("b", "south", 60, 10, 1)
    fleet.beat("c", "west", 60, 59, 1)
    fleet.connection.execute("UPDATE device_state SET site_id = 'kept' WHERE device_id = 'c'")
    fleet.connection.execute("INSERT INTO maintenance_window (scope, subject, starts_at)"
                             " VALUES ('site', 'kept', '2020-01-01Z')")  # fmt: skip
    assert model.worst_this_month() is None
    patience = time.monotonic() + 10
    while (found := model.worst_this_month()) is None and time.monotonic() < patience:
        time.sleep(0.01)
    assert found
    assert [(site.site_id, site.devices, site.silences) for site in found.sites] == [("north", 1, 2), ("south", 1, 2)]
    one = model.worst_this_month(1)
    assert one
    assert one.sites == found.sites[:1]


def test_without_the_ledger_the_table_and_the_view_answer(bare: Fleet, model: ReadModel) -> None:
    bare.beat("a", "north", 30)
    bare.beat("b", "south", 1)
    bare.beat("c", "south", 20, status="degraded")
    assert model.fleet() == answers.Fleet(
        **counts(3, 1, 2), sites=2, dark_sites=1, newest_heartbeat=bare.ago(1), has_ledger=False, has_telling=False
    )
    south = model.site("south")
    assert south
    assert [site.site_id for site in model.sites().rows] == ["north", "south"]
    assert [(one.device_id, one.silent_from) for one in south.devices.rows] == [("c", bare.ago(20)), ("b", None)]
    device = model.device("c")
    assert device
    assert (device.liveness, device.status, device.silences, device.rule) == ("stale", "degraded", [], None)
    assert [one.device_id for one in model.overview().stale_devices] == ["c"]
    assert model.overview().not_delivering == []
    with pytest.raises(LedgerMissing, match="hvac-heartbeat migrate"):
        model.silences()
