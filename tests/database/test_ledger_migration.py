"""`hvac-heartbeat migrate` makes the ledger of silence where it may, says what it takes elsewhere, and mends it."""

from __future__ import annotations

import subprocess
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from hvac_heartbeat.cli.app import app
from hvac_heartbeat.schema import Outcome, SchemaError, look, migrate, migration, script
from hvac_heartbeat.schema.ledger import FUNCTIONS, TABLES, TRIGGERS, VIEWS
from hvac_heartbeat.schema.revisions import VERSION_TABLE
from tests.database.checkup import writer
from tests.database.debian import psql
from tests.database.invocation import wait_until
from tests.database.test_migrate import refused
from tests.database.test_schema import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

__all__ = ["writer"]

RIGHTS = ("CREATE", "SELECT", "UPDATE", "TRIGGER")
# Two heartbeats of one device, written as the function does, with ten minutes between them.
HEARTBEATS = """
INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('a', 'north', now() - interval '10 minutes');
UPDATE device_state SET last_seen_ts = now() WHERE device_id = 'a'
"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    """The owner of the table and the view, whose rows have no ledger yet."""
    with database.connect() as owner:
        yield owner


def grant(owner: psycopg.Connection, role: str, *rights: str) -> None:
    """Give the role some of what making the ledger takes."""
    for right in rights:
        where = "SCHEMA public" if right == "CREATE" else "device_state"
        owner.execute(sql.SQL(f"GRANT {right} ON {where} TO {{}}").format(sql.Identifier(role)))


def told(*options: str) -> str:
    """Run the command, which succeeds, and return the one line that it prints."""
    ended = CliRunner().invoke(app, ["migrate", *options], catch_exceptions=False)
    assert (ended.exit_code, ended.stdout.count("\n")) == (0, 1), ended.stdout
    return ended.stdout


def silences(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT device_id, silent_to - silent_from FROM silence").fetchall()


def definitions(connection: psycopg.Connection) -> list[str]:
    """Return the ledger as PostgreSQL would dump it, as far as that can be asked for."""
    found = connection.execute(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang <> 13"
        " UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relname = ANY (%s) AND relkind = 'v'"
        " UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        " UNION ALL SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0",
        [list(VIEWS)],
    ).fetchall()
    return sorted(text for (text,) in found)


def test_an_empty_database_gets_the_table_the_view_and_the_ledger(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        assert migrate(connection).to_create == ("device_state", "v_devices_stale", "the ledger of silence")
        assert (look(connection).recorded, look(connection).to_create) == ("0002", ())
        connection.execute(HEARTBEATS)
        [(device, length)] = silences(connection)
        assert (device, length.total_seconds()) == ("a", 600)


def test_what_is_looked_for_is_what_is_made(owner: psycopg.Connection) -> None:
    before = owner.execute("SELECT oid FROM pg_class").fetchall()
    migrate(owner)
    made = owner.execute(
        "SELECT relname, array(SELECT attname::text FROM pg_attribute"
        "                       WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum)"
        "  FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        "   AND relname <> %s AND oid <> ALL (%s)",
        [VERSION_TABLE, [oid for (oid,) in before]],
    ).fetchall()
    assert {name: tuple(columns) for name, columns in made} == TABLES | VIEWS
    functions = owner.execute(
        "SELECT proname || '(' || oidvectortypes(proargtypes) || ')' FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND prolang <> 13"
    ).fetchall()
    assert {signature for (signature,) in functions} == set(FUNCTIONS)
    triggers = owner.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
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
    assert look(owner).recorded == "0002"
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
        assert (look(connection).recorded, look(connection).to_create) == ("0002", ())


def test_what_is_printed_for_a_role_goes_where_the_role_looks(
    database: Database, owner: psycopg.Connection, writer: str
) -> None:
    owner.execute("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet")
    role = sql.Identifier(writer)
    owner.execute(sql.SQL("GRANT USAGE ON SCHEMA fleet TO {0}; ALTER ROLE {0} SET search_path = fleet").format(role))
    owner.execute("ALTER VIEW v_devices_stale SET SCHEMA fleet")
    ended = CliRunner().invoke(app, ["migrate", "--sql"], catch_exceptions=False)
    run_psql(database, ended.stdout)
    assert owner.execute("SELECT to_regclass('fleet.silence'), to_regclass('silence')").fetchone() == (
        "fleet.silence",
        None,
    )
    assert CliRunner().invoke(app, ["migrate", "--sql"]).stdout == "-- Nothing is missing.\n"


def test_it_goes_where_the_table_is_and_the_record_where_the_search_path_begins(owner: psycopg.Connection) -> None:
    owner.execute("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet; SET search_path = public, fleet")
    migrate(owner)
    found = owner.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'fleet')")
    assert set(found.fetchall()) == {
        ("public", VERSION_TABLE),
        *(("fleet", name) for name in (*TABLES, "device_state")),
    }
    assert look(owner).recorded == "0002"
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


DROPS = {
    **{name: f"DROP TABLE {name} CASCADE" for name in TABLES},
    **{name: f"DROP VIEW {name} CASCADE" for name in VIEWS},
    **{signature: f"DROP FUNCTION {signature} CASCADE" for signature in FUNCTIONS},
    **{f"trigger {name}": f"DROP TRIGGER {name} ON device_state" for name in TRIGGERS},
}
RULES = """
INSERT INTO liveness_policy VALUES ('fleet', '', '5 minutes');
INSERT INTO maintenance_window (scope, subject) VALUES ('site', 'north');
INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '1 day', now() - interval '23 hours')
"""
KEPT = "SELECT (SELECT array_agg(t.*::text) FROM {} AS t)"


@pytest.mark.parametrize("part", DROPS)
def test_a_part_that_was_dropped_is_made_again_and_the_rest_is_kept(owner: psycopg.Connection, part: str) -> None:
    migrate(owner)
    complete = definitions(owner)
    owner.execute(f"{HEARTBEATS}; {RULES}".encode())
    # A ledger that has lost its evidence begins anew.
    begins_anew = {"silence": {"first_heartbeat", "ledger_start"}, "first_heartbeat": {"ledger_start"}}.get(part, set())
    tables = [name for name in TABLES if name not in {part, *begins_anew}]
    before = [owner.execute(KEPT.format(name).encode()).fetchone() for name in tables]
    began = owner.execute("SELECT started_at FROM ledger_start").fetchone()
    owner.execute(DROPS[part].encode())
    assert part in migrate(owner).ledger.missing
    assert (look(owner).to_create, definitions(owner)) == ((), complete)
    assert [owner.execute(KEPT.format(name).encode()).fetchone() for name in tables] == before
    has_begun_anew = owner.execute("SELECT started_at FROM ledger_start").fetchone() != began
    assert has_begun_anew == (part in {"silence", "first_heartbeat", "ledger_start"})
    owner.execute(HEARTBEATS.replace("'a'", "'b'"))
    assert "b" in [device for device, _ in silences(owner)]


@pytest.mark.parametrize(("drop", "is_blind"), [("trigger note_silence", True), ("v_silences", False)])
def test_a_gap_in_the_ledger_is_told(owner: psycopg.Connection, writer: str, drop: str, *, is_blind: bool) -> None:
    grant(owner, writer, *RIGHTS)
    told()
    owner.execute(DROPS[drop].encode())
    said = told()
    assert f"reated {drop} of the ledger of silence in schema public." in said
    assert ("Silences that ended while something was missing are not in the ledger." in said) == is_blind


def test_what_another_role_made_only_that_role_can_mend(owner: psycopg.Connection, writer: str) -> None:
    migrate(owner)
    grant(owner, writer, *RIGHTS)
    owner.execute("DROP VIEW v_silences")
    said = told()
    assert "Did not make v_silences of the ledger of silence: only role " in said
    assert ", who owns the rest of it, can make what is missing." in said


def test_a_disabled_trigger_is_left_to_whoever_disabled_it(owner: psycopg.Connection, writer: str) -> None:
    migrate(owner)
    owner.execute("ALTER TABLE device_state DISABLE TRIGGER note_silence")
    assert "Trigger note_silence is disabled" in told()
    assert look(owner).ledger.disabled == ("note_silence",)


SWALLOW = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
FOREIGN = {
    "CREATE TABLE silence (id int)": "table silence that is not ours: it is without device_id",
    "CREATE TABLE v_silences (id int)": "v_silences that is not a view of ours",
    "CREATE SEQUENCE ledger_start": "ledger_start that is not a table of ours",
    "CREATE VIEW v_deaf AS SELECT 1 AS one": "view v_deaf that is not ours: it is without deaf",
    "CREATE FUNCTION note_silence() RETURNS int LANGUAGE sql AS 'SELECT 1'": "function note_silence() that is not ours",
    f"{SWALLOW}; CREATE TRIGGER note_silence AFTER UPDATE ON device_state EXECUTE FUNCTION swallow()": (
        "trigger note_silence on device_state that is not ours: it runs swallow"
    ),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_somebody_else_has_by_that_name_is_refused_and_nothing_is_changed(
    owner: psycopg.Connection, foreign: str
) -> None:
    owner.execute(foreign.encode())
    before = owner.execute(CATALOGUE).fetchall()
    with pytest.raises(SchemaError) as refusal:
        migrate(owner)
    assert FOREIGN[foreign] in str(refusal.value)
    assert owner.execute(CATALOGUE).fetchall() == before


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--sql",)])
def test_that_refusal_is_one_line_and_exit_code_1(empty_database: Database, options: tuple[str, ...]) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE TABLE silence (id int)")
    assert "Schema public has a table silence that is not ours" in refused(empty_database, *options)
    with empty_database.connect() as connection:
        assert connection.execute("SELECT to_regclass('device_state')").fetchone() == (None,)


def write_heartbeats(database: Database, stop: Event, seconds: list[float]) -> None:
    """Write one heartbeat after another, and note how long each took."""
    with database.connect() as connection:
        while not stop.is_set():
            began = monotonic()
            connection.execute("UPDATE device_state SET last_seen_ts = now() WHERE device_id = 'a'")
            seconds.append(monotonic() - began)
            sleep(0.01)


def test_a_long_transaction_makes_it_give_up_and_no_heartbeat_wait_for_long(
    database: Database, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_PAUSE_S", 0.3)
    owner.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('a', 'north', now())")
    stop, seconds = Event(), list[float]()
    with database.connect() as holder:
        heartbeats = Thread(target=write_heartbeats, args=(database, stop, seconds))
        with holder.transaction():
            holder.execute("LOCK device_state IN ROW EXCLUSIVE MODE")
            heartbeats.start()
            try:
                with pytest.raises(SchemaError) as refusal:
                    migrate(owner)
            finally:
                stop.set()
                heartbeats.join()
            said = str(refusal.value)
            assert f"device_state was locked 5 times, the longest by process {holder.info.backend_pid}" in said
            assert look(owner).ledger.is_new
    # Each try holds them up for the half second that it waits, and they get through in each pause.
    assert 0.3 < max(seconds) < 2.5
    assert sum(took < 0.3 for took in seconds) > 20
    assert migrate(owner).to_create == ("the ledger of silence",)


def test_a_lock_that_ends_in_time_is_waited_for(database: Database, owner: psycopg.Connection) -> None:
    made: list[tuple[str, ...]] = []
    with database.connect() as other, database.connect() as holder:
        migrating = Thread(target=lambda: made.append(migrate(other).to_create))
        with holder.transaction():
            holder.execute("LOCK device_state IN ROW EXCLUSIVE MODE")
            migrating.start()
            sleep(1)
        migrating.join()
    assert made == [("the ledger of silence",)]


def test_whoever_waited_for_another_migration_looks_after_it_has_ended(
    database: Database, owner: psycopg.Connection
) -> None:
    done: list[tuple[Outcome, tuple[str, ...]]] = []

    def migrate_too() -> None:
        with database.connect() as other:
            plan = migrate(other)
            done.append((plan.outcome, plan.to_create))

    second = Thread(target=migrate_too)
    with owner.transaction():
        owner.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('{VERSION_TABLE}', 0))".encode())
        second.start()
        waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: bool(owner.execute(waits).fetchall()))
        owner.execute("SAVEPOINT first")
        text = script(look(owner)).removeprefix("BEGIN;\n").removesuffix("COMMIT;\n")
        owner.execute(f"{text}; CREATE TABLE {VERSION_TABLE} AS SELECT '0002' AS version_num".encode())
    second.join()
    assert done == [(Outcome.CURRENT, ())]


# A server that says it is older, to whoever looks into this schema before pg_catalog.
OLD_SERVER = """
CREATE SCHEMA old;
CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql AS
    'SELECT CASE name WHEN ''server_version_num'' THEN ''130023'' ELSE pg_catalog.current_setting(name) END';
GRANT USAGE ON SCHEMA old TO PUBLIC
"""


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
