"""Migrations create the table and view, and leave alone what somebody else created."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.schema import Outcome, SchemaError, look, migrate, script
from hvac_heartbeat.schema.parts import TABLES, VIEWS
from hvac_heartbeat.schema.revisions import VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database, TestServer

# Everything that DDL changes about a relation, its columns and its constraints; the ledger's triggers and a vacuum
# change some of a table's own row.
CATALOGUE = """
SELECT 'class', c.oid::text, '',
       (to_jsonb(c) - ARRAY['relhastriggers', 'relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid',
                            'relminmxid'])::text
  FROM pg_class c WHERE c.oid >= 16384
UNION ALL SELECT 'attribute', attrelid::text || attnum, xmin::text, '' FROM pg_attribute WHERE attrelid >= 16384
UNION ALL SELECT 'constraint', oid::text, xmin::text, '' FROM pg_constraint WHERE oid >= 16384
UNION ALL SELECT 'rewrite', oid::text, xmin::text, '' FROM pg_rewrite WHERE oid >= 16384
ORDER BY 1, 2
"""

COLUMNS = """
SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type
FROM information_schema.columns WHERE table_name IN ('device_state', 'v_devices_stale') ORDER BY 1, 3
"""
CONSTRAINTS = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'device_state'::regclass"
VIEW = "SELECT pg_get_viewdef('v_devices_stale'::regclass)"


def shape(connection: psycopg.Connection[Any]) -> list[list[tuple[Any, ...]]]:
    return [sorted(connection.execute(query).fetchall(), key=str) for query in (COLUMNS, CONSTRAINTS, VIEW)]


@pytest.fixture
def stranger(server: TestServer) -> Iterator[str]:
    """A role that may log in and owns nothing."""
    name = f"stranger_{uuid4().hex[:8]}"
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'stranger'").format(sql.Identifier(name)))
        yield name
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def as_role(database: Database, role: str) -> psycopg.Connection[Any]:
    """Connect with the role's rights, however the server lets people in."""
    connection = database.connect()
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    return connection


def close_schema(database: Database) -> None:
    with database.connect() as owner:
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # the default since PostgreSQL 15


def test_an_empty_database_gets_exactly_the_table_and_view(empty_database: Database, database: Database) -> None:
    with empty_database.connect() as connection, database.connect() as expected:
        assert migrate(connection).outcome is Outcome.CREATED
        assert shape(connection) == shape(expected)
        assert look(connection).recorded == "0003"


def test_a_second_run_does_nothing(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        migrate(connection)
        before = connection.execute(CATALOGUE).fetchall()
        assert migrate(connection).outcome is Outcome.CURRENT
        assert connection.execute(CATALOGUE).fetchall() == before


def test_an_owner_s_existing_tables_are_adopted_without_any_ddl_on_them(database: Database) -> None:
    with database.connect() as connection:
        before = set(connection.execute(CATALOGUE).fetchall())
        assert migrate(connection).outcome is Outcome.ADOPTED
        assert before <= set(connection.execute(CATALOGUE).fetchall())
        assert look(connection).outcome is Outcome.CURRENT


def test_a_role_that_owns_nothing_and_may_create_nothing_adopts_without_any_ddl(
    database: Database, stranger: str
) -> None:
    close_schema(database)
    with as_role(database, stranger) as connection:
        before = connection.execute(CATALOGUE).fetchall()
        assert migrate(connection).outcome is Outcome.ADOPTED_UNRECORDED
        assert connection.execute(CATALOGUE).fetchall() == before


def test_a_role_that_may_create_but_owns_nothing_records_the_adoption(database: Database, stranger: str) -> None:
    with database.connect() as owner:
        owner.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(stranger)))
    with as_role(database, stranger) as connection:
        before = set(connection.execute(CATALOGUE).fetchall())
        assert migrate(connection).outcome is Outcome.ADOPTED
        assert before <= set(connection.execute(CATALOGUE).fetchall())
    with database.connect() as owner:
        owner.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(stranger)))


def test_what_another_role_recorded_is_read_where_allowed_and_never_in_the_way(
    database: Database, stranger: str
) -> None:
    close_schema(database)
    with database.connect() as owner:
        migrate(owner)
    with as_role(database, stranger) as connection:
        assert migrate(connection).outcome is Outcome.ADOPTED_UNRECORDED


def test_a_table_without_the_view_gets_the_view_alone(database: Database) -> None:
    with database.connect() as connection:
        complete = shape(connection)
        connection.execute("DROP VIEW v_devices_stale")
        before = set(connection.execute(CATALOGUE).fetchall())
        plan = migrate(connection)
        assert (plan.present, plan.missing) == (("device_state",), ("v_devices_stale",))
        assert before <= set(connection.execute(CATALOGUE).fetchall())
        assert shape(connection) == complete


def test_a_missing_view_that_the_role_may_not_create_is_said_and_nothing_is_done(
    database: Database, stranger: str
) -> None:
    close_schema(database)
    with database.connect() as owner:
        owner.execute("DROP VIEW v_devices_stale")
    with as_role(database, stranger) as connection:
        before = connection.execute(CATALOGUE).fetchall()
        with pytest.raises(SchemaError, match=r"v_devices_stale is missing, and role stranger_\w+ may not create it"):
            migrate(connection)
        assert connection.execute(CATALOGUE).fetchall() == before


def test_a_dropped_table_that_was_recorded_is_not_silently_recreated(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        migrate(connection)
        connection.execute("DROP VIEW v_devices_stale")
        with pytest.raises(SchemaError, match="somebody dropped it"):
            migrate(connection)


def test_a_schema_on_the_search_path_is_where_things_are_found_and_made(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE SCHEMA fleet")
        connection.execute("SET search_path = fleet")
        assert migrate(connection).outcome is Outcome.CREATED
        made = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'fleet'::regnamespace AND relkind IN ('r', 'v')"
        ).fetchall()
        assert {name for (name,) in made} == {"device_state", VERSION_TABLE, "v_devices_stale", *TABLES, *VIEWS}
        elsewhere = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert not connection.execute(elsewhere).fetchall()
        connection.execute("SET search_path = public, fleet")
        assert look(connection).outcome is Outcome.CURRENT


def test_a_search_path_that_leads_nowhere_is_said(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute("SET search_path = nowhere")
        with pytest.raises(SchemaError, match="No schema on the search_path"):
            migrate(connection)


def test_another_alembic_s_version_table_is_left_alone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT 'theirs' AS version_num")
        migrate(connection)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("theirs",)]


def test_two_deployments_at_once_both_succeed(empty_database: Database) -> None:
    program = (
        "import sys, psycopg; from hvac_heartbeat.schema import migrate\n"
        "with psycopg.connect(sys.argv[1], autocommit=True) as connection:\n"
        "    print('ready', flush=True); sys.stdin.readline(); migrate(connection)"
    )
    deployments = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for deployment in deployments:
        assert deployment.stdout is not None
        assert deployment.stdout.readline() == "ready\n"
    ends = [deployment.communicate("go\n", timeout=60) for deployment in deployments]
    assert [deployment.returncode for deployment in deployments] == [0, 0], ends
    with empty_database.connect() as connection:
        assert look(connection).outcome is Outcome.CURRENT


def test_the_printed_sql_makes_what_migrate_makes(empty_database: Database, database: Database) -> None:
    with empty_database.connect() as connection, database.connect() as expected:
        connection.execute(script())
        assert shape(connection) == shape(expected)
        assert look(connection).outcome is Outcome.CURRENT
