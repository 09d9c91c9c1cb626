"""The sweep: anyone may run it at any time, twice at once, late, or be killed in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from hvac_heartbeat.schema.migrations.versions import r0003_telling
from tests.database.telling.conftest import migrate, site, texts

if TYPE_CHECKING:
    from tests.database.telling.conftest import Fleet

BUILDING = site("building-a", 5)
REST = [device for name in "bcdefg" for device in site(name, 5)]


def dark(fleet: Fleet) -> None:
    """Let building-a fall silent, so that the next sweep has a message to write."""
    fleet.live(600, *BUILDING, *REST)
    fleet.live(210, *BUILDING, *REST, silent=BUILDING, sweeps=False)


def test_two_sweeps_at_once_tell_once(fleet: Fleet) -> None:
    dark(fleet)
    with fleet.another() as other:
        with other.transaction():
            assert other.execute("SELECT opened, messages FROM sweep()").fetchone() == (5, 1)
            assert fleet.sweep() == []
            assert fleet.last["is_skipped"]
        assert fleet.sweep() == []
        assert not fleet.last["is_skipped"]
    assert fleet.one("SELECT count(*) FROM silence_message") == 1


def test_a_sweep_that_is_killed_leaves_nothing_and_the_next_one_tells(fleet: Fleet) -> None:
    dark(fleet)
    other = fleet.another()
    other.autocommit = False
    assert other.execute("SELECT messages FROM sweep()").fetchone() == (1,)
    fleet.run("SELECT pg_terminate_backend(%s, 5000)", other.info.backend_pid)
    with contextlib.suppress(psycopg.OperationalError):
        other.close()
    assert fleet.one("SELECT (SELECT count(*) FROM episode) + (SELECT count(*) FROM silence_message)") == 0
    assert texts(fleet.sweep()) == ["building-a: 5 of 5 silent since 02:10 UTC"]


def test_a_late_sweep_tells_what_an_earlier_one_would_have_told(fleet: Fleet) -> None:
    fleet.live(600, *BUILDING, *REST)
    fleet.live(7_200, *BUILDING, *REST, silent=BUILDING, sweeps=False)
    assert texts(fleet.sweep()) == ["building-a: 5 of 5 silent since 02:10 UTC"]


def test_an_idle_sweep_writes_nothing(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    with fleet.connection.transaction():
        assert fleet.sweep() == []
        assert fleet.one("SELECT pg_current_xact_id_if_assigned() IS NULL")


def test_the_wal_does_not_grow_by_idle_sweeps(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    fleet.sweep()  # which cleans what the first one left on the pages
    grown = []
    for _ in range(5):  # others write to the same server now and then: autovacuum, for one
        before = fleet.one("SELECT pg_current_wal_insert_lsn()")
        fleet.sweep()
        grown.append(fleet.one("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before))
    assert min(grown) == 0


def test_whoever_may_write_heartbeats_may_sweep_and_nobody_else(fleet: Fleet) -> None:
    dark(fleet)
    role = f"writer_{uuid4().hex[:8]}"
    fleet.run(f"CREATE ROLE {role} LOGIN PASSWORD 'writer'; GRANT USAGE ON SCHEMA clock TO {role}")
    try:
        with psycopg.connect(fleet.database.server.url(fleet.database.name, user=role), password="writer") as writer:
            writer.execute(f"SET search_path = public, clock, pg_catalog; SET clock.now = '{fleet.now}'".encode())
            writer.commit()
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not update device_state"):
                writer.execute("SELECT sweep()")
            writer.rollback()
            fleet.run(f"GRANT SELECT, INSERT, UPDATE ON device_state TO {role}")
            writer.execute(f"SET search_path = public, clock, pg_catalog; SET clock.now = '{fleet.now}'".encode())
            assert writer.execute("SELECT opened, messages FROM sweep()").fetchone() == (5, 1)
    finally:
        fleet.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_it_says_how_many_devices_count_and_how_many_are_stale(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    said = {name: fleet.last[name] for name in ("devices", "stale", "opened", "closed", "messages", "is_fleet_silent")}
    assert said == {"devices": 35, "stale": 5, "opened": 5, "closed": 0, "messages": 1, "is_fleet_silent": False}


def test_a_device_is_told_of_one_and_a_half_times_its_rule_after_its_last_heartbeat(fleet: Fleet) -> None:
    fleet.live(600, *BUILDING, *REST)
    fleet.live(180, *REST, sweeps=False)
    assert fleet.sweep() == []
    fleet.wait(0.001)
    assert len(fleet.sweep()) == 1


def test_a_device_that_is_deleted_closes_without_a_message(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    fleet.run("DELETE FROM device_state WHERE site_id = 'building-a'")
    assert fleet.live(300, *REST) == []
    assert fleet.one("SELECT count(*) FROM episode WHERE closed_at IS NULL") == 0


def test_what_is_still_silent_is_not_called_back_because_a_late_heartbeat_moved_its_silence(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    fleet.wait(60)
    fleet.beat(*REST)
    fleet.beat("building-a/000", ago=180)  # newer than what was known, and old by now
    assert fleet.live(240, *REST) == []
    ended = fleet.live(240, *BUILDING, *REST)
    assert texts(ended) == ["building-a: 5 of 5 back since 02:19 UTC"]


def test_a_device_that_was_deleted_and_came_anew_is_told_of_whatever_it_was_silent_for_before(fleet: Fleet) -> None:
    fleet.live(600, *BUILDING, *REST)
    fleet.wait(86_400)
    fleet.live(300, *BUILDING, *REST)
    fleet.run("DELETE FROM device_state WHERE site_id = 'building-a'")
    fleet.live(600, *BUILDING, *REST)
    assert len(fleet.live(300, *REST)) == 1


@pytest.mark.parametrize(
    ("site_id", "last_seen_ts", "updated_at"),
    [
        ("odd", "2026-10-06 02:00Z", "infinity"),  # from which servers before 17 cannot subtract
        ("odd", "4713-01-01 BC", "294276-12-31"),
        ("".join(map(chr, range(20_000, 29_000))), "2026-10-06 02:00Z", "2026-10-06 02:00Z"),  # too long for an index
    ],
)
def test_whatever_another_program_wrote_into_a_row_the_others_are_told_of(
    site_id: str, last_seen_ts: str, updated_at: str, fleet: Fleet
) -> None:
    dark(fleet)
    fleet.run("INSERT INTO device_state VALUES ('odd', %s, %s)", site_id, last_seen_ts)
    fleet.run("UPDATE device_state SET updated_at = %s WHERE device_id = 'odd'", updated_at)
    fleet.run("DELETE FROM first_heartbeat")
    assert "building-a: 5 of 5 silent since 02:10 UTC" in texts(fleet.sweep())


def test_the_migration_may_be_run_again_and_mends_what_was_dropped(fleet: Fleet) -> None:
    dark(fleet)
    fleet.sweep()
    fleet.run("DROP FUNCTION sweep, glance; DROP VIEW v_heard_from CASCADE; DROP INDEX episode_untold")
    with fleet.connection.transaction():
        migrate(fleet.connection, r0003_telling.SQL)
    assert fleet.sweep() == []
    assert fleet.one("SELECT count(*) FROM episode WHERE told_open") == 5


def test_ten_thousand_devices_that_fall_silent_are_no_burden_for_a_plan_that_was_made_before(fleet: Fleet) -> None:
    """A warm session has planned for the few episodes that there were; each compared with each, it is ten seconds."""
    fleet.run(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)"
        " SELECT 'd' || n, 's' || n % 7, now() - interval '1 hour', now() FROM generate_series(1, 10000) AS n"
    )
    fleet.run("ANALYZE device_state")
    assert fleet.one("SELECT close_episodes()") == 0
    fleet.run(
        "INSERT INTO episode (device_id, site_id, silent_from, opened_at, told_open)"
        " SELECT device_id, site_id, last_seen_ts, now(), true FROM device_state"
    )
    fleet.run("SET statement_timeout = '8s'")
    assert fleet.one("SELECT close_episodes()") == 0


def test_a_fleet_with_thousands_of_sites_that_are_long_gone_is_told_of_them_in_time(fleet: Fleet) -> None:
    """The first sweep tells of all of them at once; what looks at each beside each would be ended, and so for ever."""
    fleet.run(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)"
        " SELECT 'd' || n, 's' || n % 8000, now() - interval '9 days', now() FROM generate_series(1, 24000) AS n"
    )
    fleet.run("DELETE FROM first_heartbeat; ANALYZE")
    fleet.beat(*REST)
    fleet.run("SET statement_timeout = '8s'")
    assert [body.get("sites") for body in fleet.sweep()] == [None] * 6 + [7_994]


def test_thousands_of_devices_that_were_taken_out_of_service_are_no_burden(fleet: Fleet) -> None:
    """Their episodes stay open and their windows too; each beside each, that is fifteen seconds a sweep."""
    fleet.run(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)"
        " SELECT 'd' || n, 's' || n % 7, now() - interval '9 days', now() FROM generate_series(1, 5000) AS n"
    )
    fleet.run(
        "INSERT INTO episode (device_id, site_id, silent_from, opened_at, told_open)"
        " SELECT device_id, site_id, last_seen_ts, last_seen_ts, true FROM device_state"
    )
    fleet.run("INSERT INTO maintenance_window (scope, subject) SELECT 'device', device_id FROM device_state")
    fleet.beat(*REST)
    fleet.run("SET statement_timeout = '8s'")
    assert fleet.sweep() == []
