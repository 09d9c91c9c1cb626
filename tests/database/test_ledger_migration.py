"""`hvac-heartbeat migrate` makes the ledger of silence where it may, and says what it takes where it may not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from hvac_heartbeat.cli.app import app
from hvac_heartbeat.schema import look, migrate, script
from hvac_heartbeat.schema.parts import FUNCTIONS, TABLES, TRIGGERS, TYPES, VIEWS
from hvac_heartbeat.schema.revisions import VERSION_TABLE
from tests.database.checkup import writer
from tests.database.debian import psql
from tests.database.ledger_migration import (
    HEARTBEATS,
    OLD_SERVER,
    RIGHTS,
    definitions,
    grant,
    owner,
    silences,
    told,
)
from tests.database.test_schema import CATALOGUE

if TYPE_CHECKING:
    from tests.conftest import Database

__all__ = ["owner", "writer"]


def test_an_empty_database_gets_the_table_the_view_and_the_ledger(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        assert migrate(connection).to_create == ("device_state", "v_devices_stale", "the ledger of silence")
        assert (look(connection).recorded, look(connection).to_create) == ("0003", ())
        connection.execute(HEARTBEATS)
        [(device, length)] = silences(connection)
        assert (device, length.total_seconds()) == ("a", 600)


def test_what_is_looked_for_is_what_is_made(owner: psycopg.Connection) -> None:
    before = owner.execute("SELECT oid FROM pg_class").fetchall()
    migrate(owner)
    made = owner.execute(
        "SELECT relname, array(SELECT attname::text FROM pg_attribute"
        "                       WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum)"
        "  FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'c')"
        "   AND relname <> %s AND oid <> ALL (%s)",
        [VERSION_TABLE, [oid for (oid,) in before]],
    ).fetchall()
    assert {name: tuple(columns) for name, columns in made} == TABLES | VIEWS | TYPES
    functions = owner.execute(
        "SELECT proname || '(' || oidvectortypes(proargtypes) || ')' FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
        "   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    ).fetchall()
    assert {signature for (signature,) in functions} == set(FUNCTIONS)
    triggers = owner.execute(
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        "   AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
    ).fetchall()
    assert {name for (name,) in triggers} == set(TRIGGERS)


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_role_that_owns_nothing_makes_it_with_four_rights(
    owner: psycopg.Connection, writer: str, *, is_recorded: bool
) -> None:
    if is_recorded:
        owner.execute(f"CREATE TABLE {VERSION_TABLE} AS SELECT '0001' AS version_num".encode())
        owner.execute(f"GRANT SELECT, UPDATE, INSERT ON {VERSION_TABLE} TO {writer}".encode())
    grant(owner, writer, *RIGHTS)
    assert "reated the ledger of silence in schema public." in told()
    assert "up to date, nothing to do." in told()
    assert look(owner).recorded == "0003"
    owner.execute(HEARTBEATS)
    assert len(silences(owner)) == 1
    assert owner.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'silence'").fetchone() == (writer,)


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("lacking", [(right,) for right in RIGHTS] + [RIGHTS])
def test_a_role_that_lacks_a_right_is_told_which_and_that_nothing_is_lost(
    owner: psycopg.Connection, writer: str, lacking: tuple[str, ...], *, is_recorded: bool
) -> None:
    if is_recorded:
        owner.execute(f"CREATE TABLE {VERSION_TABLE} AS SELECT '0001' AS version_num".encode())
    grant(owner, writer, *(right for right in RIGHTS if right not in lacking))
    before = set(owner.execute(CATALOGUE).fetchall())
    said = told()
    assert f"Did not make the ledger of silence: role {writer} may not. Heartbeats are written without it." in said
    assert before <= set(owner.execute(CATALOGUE).fetchall())
    assert look(owner).ledger.is_new
    statements = said[said.index("GRANT ") :]
    assert [right for right in RIGHTS if right in statements.replace("GRANT CREATE ON SCHEMA", "CREATE")] == [*lacking]
    owner.execute("SET search_path = pg_catalog")
    owner.execute(statements.encode())
    assert "reated the ledger of silence in schema public." in told()


def test_it_is_said_beforehand(owner: psycopg.Connection, writer: str) -> None:
    assert "Would not make the ledger of silence: role" in told("--dry-run")
    grant(owner, writer, *RIGHTS)
    before = owner.execute(CATALOGUE).fetchall()
    assert "Would create the ledger of silence in schema public." in told("--dry-run")
    assert owner.execute(CATALOGUE).fetchall() == before


def run_psql(database: Database, text: str) -> None:
    arguments = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", database.url]
    done = subprocess.run([psql(), *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_printed_sql_makes_the_same_in_psql(empty_database: Database, owner: psycopg.Connection) -> None:
    migrate(owner)
    run_psql(empty_database, script())
    with empty_database.connect() as connection:
        assert definitions(connection) == definitions(owner)
        assert (look(connection).recorded, look(connection).to_create) == ("0003", ())


@pytest.mark.parametrize("is_empty", [False, True])
def test_what_is_printed_for_a_role_goes_where_the_role_looks(
    database: Database, owner: psycopg.Connection, writer: str, *, is_empty: bool
) -> None:
    role = sql.Identifier(writer)
    owner.execute("CREATE SCHEMA fleet; ALTER VIEW v_devices_stale SET SCHEMA fleet")
    owner.execute("ALTER TABLE device_state SET SCHEMA fleet")
    owner.execute(sql.SQL("GRANT USAGE ON SCHEMA fleet TO {0}; ALTER ROLE {0} SET search_path = fleet").format(role))
    if is_empty:
        owner.execute("DROP TABLE fleet.device_state CASCADE")
    run_psql(database, CliRunner().invoke(app, ["migrate", "--sql"], catch_exceptions=False).stdout)
    made = owner.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'fleet')"
    ).fetchall()
    record = [VERSION_TABLE] if is_empty else []
    assert set(made) == {("fleet", name) for name in ("device_state", *TABLES, *record)}
    assert CliRunner().invoke(app, ["migrate", "--sql"]).stdout == "-- Nothing is missing.\n"


def test_it_goes_where_the_table_is_and_the_record_where_the_search_path_begins(owner: psycopg.Connection) -> None:
    owner.execute("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet; SET search_path = public, fleet")
    migrate(owner)
    found = owner.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'fleet')")
    assert set(found.fetchall()) == {
        ("public", VERSION_TABLE),
        *(("fleet", name) for name in (*TABLES, "device_state")),
    }
    assert look(owner).recorded == "0003"
    owner.execute(HEARTBEATS)
    assert len(silences(owner)) == 1


def test_a_role_that_may_not_record_it_makes_it_all_the_same(owner: psycopg.Connection, writer: str) -> None:
    owner.execute("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet")
    role = sql.Identifier(writer)
    owner.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA fleet TO {}").format(role))
    owner.execute(sql.SQL("GRANT SELECT, UPDATE, TRIGGER ON fleet.device_state TO {}").format(role))
    owner.execute(sql.SQL("ALTER ROLE {} SET search_path = public, fleet").format(role))
    assert "Created the ledger of silence in schema fleet." in told()
    owner.execute("SET search_path = public, fleet")
    assert (look(owner).recorded, look(owner).ledger.missing) == (None, ())


def test_an_older_server_does_without_it(owner: psycopg.Connection, writer: str) -> None:
    owner.execute(OLD_SERVER)
    role = sql.Identifier(writer)
    owner.execute(sql.SQL("ALTER ROLE {} SET search_path = public, old, pg_catalog").format(role))
    grant(owner, writer, *RIGHTS)
    missing = "Did not make the ledger of silence: it needs PostgreSQL 14, and this is 13. Heartbeats are written"
    assert missing in told()
    assert look(owner).recorded == "0001"
    assert missing in told()
    ended = CliRunner().invoke(app, ["migrate", "--sql"], catch_exceptions=False)
    assert ended.stdout == "-- The ledger of silence is left out: it needs PostgreSQL 14, and this is 13.\n"
