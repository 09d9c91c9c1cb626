"""Databases whose migrations gave `device_state` foreign keys and more: strangers are rejected, the rest is written."""

from __future__ import annotations

import gc
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from hvac_heartbeat.settings import Settings
from hvac_heartbeat.writing import WriteResult
from tests.database.refusals.foreign_key_schema import KNOWN_DEVICE, KNOWN_SITE, NOW, Fleet, rejected, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.conftest import Database


def test_strangers_are_rejected_by_the_constraint_s_name_and_the_others_written(
    fleet: Fleet, parents: psycopg.Connection
) -> None:
    result = fleet.write("d1", "stranger", ("d2", "nowhere"), "d3")
    assert rejected(result) == {"stranger": KNOWN_DEVICE, "d2": KNOWN_SITE}
    assert not result.failed
    assert stored(parents) == {"d1", "d3"}


def test_a_known_stranger_costs_one_statement_beside_the_clean_rest(fleet: Fleet, parents: psycopg.Connection) -> None:
    """Also where its optional fields are refused with it: what refused it bare is not tried bare again."""
    devices = [f"d{n}" for n in range(1, 51)]
    for _ in range(3):
        assert rejected(fleet.write(*devices, "stranger1", "stranger2")) == {
            "stranger1": KNOWN_DEVICE,
            "stranger2": KNOWN_DEVICE,
        }
    assert fleet.statements == 3
    assert stored(parents) == set(devices)


def test_without_a_stranger_a_batch_is_one_statement(fleet: Fleet) -> None:
    fleet.write("d1", "d2")
    assert fleet.statements == 1


def test_a_device_is_taken_as_soon_as_its_parent_is_there(fleet: Fleet, parents: psycopg.Connection) -> None:
    assert fleet.write("late", "d1").rejected
    parents.execute("INSERT INTO devices VALUES ('late', 'north')")
    assert not fleet.write("late", "d1").rejected
    assert "late" in stored(parents)
    fleet.write("late", "d1")
    assert fleet.statements == 1  # it is not apart any more


def test_a_row_that_is_there_already_lives_on_without_its_parent(fleet: Fleet, parents: psycopg.Connection) -> None:
    """PostgreSQL looks at a key only when it changes."""
    parents.execute("ALTER TABLE device_state DROP CONSTRAINT known_device, DROP CONSTRAINT known_site")
    parents.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at) VALUES ('old', 'gone', %s, now())",
        [NOW - timedelta(hours=1)],
    )
    parents.execute(
        "ALTER TABLE device_state ADD CONSTRAINT known_device FOREIGN KEY (device_id) REFERENCES devices NOT VALID, "
        "ADD CONSTRAINT known_site FOREIGN KEY (site_id) REFERENCES sites NOT VALID"
    )
    assert fleet.write("stranger", "d1").rejected
    assert not fleet.write(("old", "gone")).rejected
    assert rejected(fleet.write(("old", "elsewhere"))) == {"old": KNOWN_SITE}
    outdated = fleet.write(("old", "elsewhere"), at=NOW - timedelta(hours=2))
    assert (outdated.rejected, outdated.outdated) == ({}, {"old"})


def test_a_constraint_that_is_dropped_later_refuses_nobody(fleet: Fleet, parents: psycopg.Connection) -> None:
    fleet.write("stranger", "d1")
    parents.execute("ALTER TABLE device_state DROP CONSTRAINT known_device; DROP TABLE devices")
    assert not fleet.write("stranger", "d1").rejected
    assert rejected(fleet.write("d1", ("d2", "nowhere"))) == {"d2": KNOWN_SITE}


def test_keys_of_two_columns_in_another_schema_with_odd_names(
    database: Database, connection: psycopg.Connection, environment: dict[str, str]
) -> None:
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
        assert rejected(fleet.write("d1", "d2")) == {"d2": "violates the database's constraint odd 'name' {}"}
    assert stored(connection) == {"d1"}
    fleet.database.close()


def test_a_trigger_that_registers_new_devices_is_heard_first(fleet: Fleet, parents: psycopg.Connection) -> None:
    parents.execute(
        "CREATE FUNCTION register() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO devices VALUES (new.device_id, new.site_id) ON CONFLICT DO NOTHING; RETURN new; END $$;"
        "CREATE TRIGGER register BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION register()"
    )
    assert rejected(fleet.write(("new", "nowhere"), "d1")).keys() == {"new"}
    assert not fleet.write("new", "d1").rejected


def test_new_devices_turned_away_and_foreign_keys_go_together(
    parents: psycopg.Connection, environment: dict[str, str]
) -> None:
    settings = Settings.from_environment(environment)
    fleet, closed = Fleet(settings), Fleet(settings, new_devices=False)
    fleet.write("d1", "d2")
    for _ in range(2):
        assert rejected(closed.write("d1", "d3", ("d2", "nowhere"))) == {
            "d2": KNOWN_SITE,
            "d3": "is a device never seen before, and new devices are not accepted",
        }
    fleet.database.close()
    closed.database.close()


@pytest.mark.parametrize(
    "grants",
    [
        "GRANT SELECT, INSERT, UPDATE ON device_state TO {role}",
        "GRANT SELECT, INSERT, UPDATE ON device_state TO {role}; ALTER TABLE devices ENABLE ROW LEVEL SECURITY",
    ],
    ids=["which it may not read", "behind row-level security"],
)
def test_a_role_needs_no_right_on_what_the_keys_lead_to(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection, grants: str
) -> None:
    fleet = as_role(grants)
    devices = [f"d{n}" for n in range(1, 33)]
    for _ in range(2):
        assert rejected(fleet.write(*devices, "stranger")) == {"stranger": KNOWN_DEVICE}
        assert stored(parents) == set(devices)


def test_the_table_may_be_in_a_schema_that_only_the_search_path_leads_to(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    parents.execute(
        "CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet; ALTER TABLE sites SET SCHEMA fleet"
    )
    fleet = as_role(
        "GRANT USAGE ON SCHEMA fleet TO {role}; GRANT SELECT, INSERT, UPDATE ON fleet.device_state TO {role};"
        "ALTER ROLE {role} SET search_path = fleet"
    )
    assert rejected(fleet.write("d1", "stranger")) == {"stranger": KNOWN_DEVICE}
    assert parents.execute("SELECT device_id FROM fleet.device_state").fetchall() == [("d1",)]


def test_a_right_on_the_table_that_is_revoked_fails_the_batch_and_rejects_nobody(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    """One row can be at fault for 42501 (a policy), so the batch is divided; it is given up before long."""
    fleet = as_role("GRANT SELECT, INSERT, UPDATE ON device_state TO {role}")
    assert fleet.write("d1", "d2") == WriteResult()
    revoke = sql.SQL("REVOKE INSERT ON device_state FROM {}")
    parents.execute(revoke.format(sql.Identifier(fleet.database.settings.user)))
    many = [f"d{n}" for n in range(1, 2_000)]
    result = fleet.write(*many)
    assert (result.failed, result.rejected) == (set(many), {})
    assert result.failure is not None
    assert result.failure.sqlstate == "42501"
    assert fleet.statements <= 200


def test_what_is_refused_is_let_go_of_without_the_garbage_collector(fleet: Fleet) -> None:
    """Each refused batch would else stay in memory, with all that was sent of it, until somebody collects garbage."""
    gc.collect()
    gc.disable()
    try:
        result = fleet.write(*(f"stranger{n}" for n in range(200)), "d1")
        assert len(result.rejected) == 200
        assert gc.collect() == 0
    finally:
        gc.enable()
