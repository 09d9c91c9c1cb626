"""Databases whose migrations gave `device_state` foreign keys and more: strangers are rejected, the rest is written."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.connection import texts
from hvac_heartbeat.store.device_state import _ALL_BINARY, _packed
from hvac_heartbeat.store.foreign_keys import _MOST
from hvac_heartbeat.store.sqlstates import StatementRefused
from tests.database.parents import KNOWN_DEVICE, KNOWN_SITE, NOW, Fleet, stored
from tests.database.test_one_round_trip import STATEMENT_LIMIT

if TYPE_CHECKING:
    import psycopg
    import pytest
    from psycopg.pq.abc import PGresult

    from tests.conftest import Database


def test_strangers_are_rejected_by_the_constraint_s_name_and_the_others_written(
    fleet: Fleet, parents: psycopg.Connection
) -> None:
    written = fleet.write("d1", "stranger", ("d2", "nowhere"), "d3")
    assert written.rejected == {"stranger": KNOWN_DEVICE, "d2": KNOWN_SITE}
    assert not written.failed
    assert stored(parents) == {"d1", "d3"}


def test_the_first_stranger_costs_a_look_and_later_ones_nothing(fleet: Fleet) -> None:
    fleet.write("d1", "stranger")
    assert fleet.statements == 3  # refused, looked, written
    assert fleet.write("d1", "d2", "stranger").rejected == {"stranger": KNOWN_DEVICE}
    assert fleet.statements == 1
    assert fleet.write("stranger").rejected == {"stranger": KNOWN_DEVICE}
    assert fleet.statements == 1


def test_without_a_stranger_nothing_is_looked_up(fleet: Fleet) -> None:
    fleet.write("d1", "d2")
    assert fleet.statements == 1


def test_refused_rows_leave_no_dead_tuples(fleet: Fleet, parents: psycopg.Connection) -> None:
    fleet.write("stranger")
    for _ in range(3):
        fleet.write("d1", "d2", *(f"stranger{n}" for n in range(20)))
    inserted = "SELECT pg_stat_get_tuples_inserted('device_state'::regclass)"
    fleet.database.close()
    deadline = time.monotonic() + 10
    while True:
        parents.execute("SELECT pg_stat_clear_snapshot()")
        row = parents.execute(inserted).fetchone()
        if (row and row[0] >= 3) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert row == (3,)  # the first stranger's, rolled back, and d1's and d2's


def test_a_device_is_taken_as_soon_as_its_parent_is_there(fleet: Fleet, parents: psycopg.Connection) -> None:
    assert fleet.write("late").rejected
    parents.execute("INSERT INTO devices VALUES ('late', 'north')")
    assert not fleet.write("late", "d1").rejected
    assert "late" in stored(parents)


def test_a_row_that_is_there_already_lives_on_without_its_parent(fleet: Fleet, parents: psycopg.Connection) -> None:
    """PostgreSQL looks at a key only when it changes, and so does the filter."""
    parents.execute("ALTER TABLE device_state DROP CONSTRAINT known_device, DROP CONSTRAINT known_site")
    parents.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at) VALUES ('old', 'gone', %s, now())",
        [NOW - timedelta(hours=1)],
    )
    parents.execute(
        "ALTER TABLE device_state ADD CONSTRAINT known_device FOREIGN KEY (device_id) REFERENCES devices NOT VALID, "
        "ADD CONSTRAINT known_site FOREIGN KEY (site_id) REFERENCES sites NOT VALID"
    )
    assert fleet.write("stranger").rejected
    assert not fleet.write(("old", "gone")).rejected
    assert fleet.write(("old", "elsewhere")).rejected == {"old": KNOWN_SITE}
    outdated = fleet.write(("old", "elsewhere"), at=NOW - timedelta(hours=2))
    assert (outdated.rejected, outdated.outdated) == ({}, frozenset({"old"}))


def test_a_parent_that_vanishes_after_the_look_is_looked_for_again(
    fleet: Fleet, parents: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement's look and the key's own check are two moments; the second one's refusal is met by a new look."""
    fleet.write("stranger")
    execute, vanished = fleet.database.execute, False

    def race(*arguments: Any) -> PGresult:
        nonlocal vanished
        if not vanished:
            vanished = True
            parents.execute("DELETE FROM devices WHERE device_id = 'd2'")
            raise StatementRefused("23503", "known_device", None)
        return execute(*arguments)

    monkeypatch.setattr(fleet.database, "execute", race)
    written = fleet.write("d1", "d2", "d3")
    assert written.rejected == {"d2": KNOWN_DEVICE}
    assert stored(parents) == {"d1", "d3"}


def test_a_parent_deleted_by_others_all_the_time_never_costs_another_device_its_heartbeat(
    fleet: Fleet, parents: psycopg.Connection, database: Database
) -> None:
    fleet.write("stranger")
    for round_ in range(20):
        with database.connect() as other:
            other.execute("BEGIN")
            other.execute("DELETE FROM devices WHERE device_id = 'd7'")
            if round_ % 2:
                other.execute("ROLLBACK")
            else:
                other.execute("COMMIT")
        written = fleet.write("d1", "d7", "d9", at=NOW + timedelta(seconds=round_ - 60))
        assert set(written.rejected) <= {"d7"}
        assert not written.failed


def test_a_constraint_that_is_dropped_or_renamed_later_is_forgotten(fleet: Fleet, parents: psycopg.Connection) -> None:
    fleet.write("stranger")
    parents.execute("ALTER TABLE device_state DROP CONSTRAINT known_device; DROP TABLE devices")
    assert not fleet.write("stranger", "d1").rejected
    assert fleet.write("d1", ("d2", "nowhere")).rejected == {"d2": KNOWN_SITE}


def test_a_constraint_that_is_added_later_is_learnt(fleet: Fleet, parents: psycopg.Connection) -> None:
    assert fleet.write("stranger").rejected
    parents.execute("CREATE TABLE allowed (id text PRIMARY KEY); INSERT INTO allowed VALUES ('d1')")
    parents.execute("ALTER TABLE device_state ADD CONSTRAINT is_allowed FOREIGN KEY (device_id) REFERENCES allowed")
    written = fleet.write("d1", "d2")
    assert written.rejected == {"d2": ("device_id", "violates the database's constraint is_allowed")}
    assert stored(parents) == {"d1"}


def test_keys_of_two_columns_in_another_schema_with_odd_names(
    empty_database: Database, database: Database, environment: dict[str, str]
) -> None:
    with database.connect() as connection:
        connection.execute('CREATE SCHEMA "Field {0} ""x"""')
        connection.execute(
            'CREATE TABLE "Field {0} ""x"""."the %s; table" ("Site" text, "de""vice" text, UNIQUE ("Site", "de""vice"))'
        )
        connection.execute("""INSERT INTO "Field {0} ""x""\"."the %s; table" VALUES ('north', 'd1'), ('south', 'd2')""")
        connection.execute(
            "ALTER TABLE device_state ADD CONSTRAINT \"odd 'name' {}\" FOREIGN KEY (site_id, device_id) "
            'REFERENCES "Field {0} ""x"""."the %s; table" ("Site", "de""vice")'
        )
        fleet = Fleet(Settings.from_environment(environment))
        for _ in range(2):
            written = fleet.write("d1", "d2")
            assert written.rejected == {"d2": ("heartbeat", "violates the database's constraint odd 'name' {}")}
        assert fleet.statements == 1
        assert stored(connection) == {"d1"}
        fleet.database.close()


def test_the_look_at_many_parents_goes_through_their_index(fleet: Fleet, parents: psycopg.Connection) -> None:
    """A scan of every device there is would make a small batch cost what the largest one does."""
    parents.execute("INSERT INTO devices SELECT 'm' || n, 'north' FROM generate_series(1, 20000) AS n")
    parents.execute("ANALYZE devices")
    assert fleet.write("d1", "stranger").rejected
    heartbeats = [Heartbeat(f"m{n:05}", "north", received_at=NOW) for n in range(10_000, 10_500)]
    explain = b"EXPLAIN " + fleet.state._upsert
    plan = fleet.database.execute(explain, _packed(heartbeats), _ALL_BINARY, time.monotonic() + 30)
    lines = [line for (line,) in texts(plan) if " on devices " in line]
    assert lines
    assert all("Index" in line for line in lines), lines


def test_other_constraints_reject_their_own_rows_alone(fleet: Fleet, parents: psycopg.Connection) -> None:
    parents.execute("ALTER TABLE device_state ADD CONSTRAINT no_five CHECK (device_id <> 'd5')")
    for _ in range(2):
        written = fleet.write("d4", "d5", "d6", "stranger")
        assert written.rejected == {
            "d5": ("heartbeat", "violates the database's constraint no_five"),
            "stranger": KNOWN_DEVICE,
        }
        assert stored(parents) == {"d4", "d6"}


def test_new_devices_turned_away_and_foreign_keys_go_together(
    parents: psycopg.Connection, environment: dict[str, str]
) -> None:
    settings = Settings.from_environment(environment)
    fleet = Fleet(settings)
    fleet.write("d1", "d2")
    closed = Fleet(settings, new_devices=False)
    assert closed.write("d1", ("d2", "nowhere")).rejected == {"d2": KNOWN_SITE}
    rejected = closed.write("d1", "d3", ("d2", "nowhere")).rejected
    assert {device: reason for device, (_, reason) in rejected.items()} == {
        "d2": KNOWN_SITE[1],
        "d3": "is a device never seen before, and new devices are not accepted",
    }
    fleet.database.close()
    closed.database.close()


def test_the_statement_stays_short_with_every_key_in_it(
    database: Database, environment: dict[str, str], connection: psycopg.Connection
) -> None:
    """RDS Proxy pins a connection on a longer one. A name takes 63 bytes, and a quote in it is written twice."""
    keys = range(_MOST + 2)
    quotes = '"' * 62
    make = sql.SQL(
        "CREATE TABLE {parent} ({site} text, {device} text, UNIQUE ({site}, {device}));"
        "INSERT INTO {parent} VALUES ('north', 'd1'), ('north', 'd2');"
        "INSERT INTO {parent} SELECT 's' || n, 'd1' FROM generate_series(0, {most}) AS n WHERE n <> {n};"
        "ALTER TABLE device_state"
        " ADD CONSTRAINT {key} FOREIGN KEY (site_id, device_id) REFERENCES {parent} ({site}, {device})"
    )
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(f"{quotes}x")))
    for n in keys:
        names = {"parent": sql.Identifier(f"{quotes}x", f"{quotes}{n:x}"), "key": sql.Identifier(f"key_{n}")}
        names |= {"site": sql.Identifier(f"{quotes}s"), "device": sql.Identifier(f"{quotes}d")}
        connection.execute(make.format(n=n, most=keys[-1], **names))
    settings = Settings.from_environment(environment)
    open_to_all, closed = Fleet(settings), Fleet(settings, new_devices=False)
    assert not open_to_all.write("d1", "d2").rejected
    for n in keys:  # no key but this one refuses d1 there
        refusal = ("heartbeat", f"violates the database's constraint key_{n}")
        assert closed.write(("d1", f"s{n}")).rejected == {"d1": refusal}
    assert len(closed.state._foreseen) == _MOST
    assert max(len(closed.state._upsert), len(closed.state._upsert_one)) < STATEMENT_LIMIT
    assert set(closed.write("d2", "stranger", ("d1", "s0")).rejected) == {"stranger", "d1"}
    open_to_all.database.close()
    closed.database.close()
