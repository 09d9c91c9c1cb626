"""What the tests of the ledger's migration stand on: the rights that it takes, its parts, and how it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from typer.testing import CliRunner

from hvac_heartbeat.cli.app import app
from hvac_heartbeat.schema.parts import FUNCTIONS, TABLES, TRIGGERS, TYPES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.conftest import Database

RIGHTS = ("CREATE", "SELECT", "UPDATE", "TRIGGER")
# Two heartbeats of one device, written as the function does, with ten minutes between them.
HEARTBEATS = """
INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('a', 'north', now() - interval '10 minutes');
UPDATE device_state SET last_seen_ts = now() WHERE device_id = 'a'
"""
DROPS = {
    **{name: f"DROP TABLE IF EXISTS {name} CASCADE" for name in TABLES},
    **{name: f"DROP VIEW IF EXISTS {name} CASCADE" for name in VIEWS},
    **{name: f"DROP TYPE IF EXISTS {name} CASCADE" for name in TYPES},
    **{signature: f"DROP FUNCTION IF EXISTS {signature} CASCADE" for signature in FUNCTIONS},
    **{f"trigger {name}": f"DROP TRIGGER {name} ON device_state" for name in TRIGGERS},
}
# A server that says it is older, to whoever looks into this schema before pg_catalog.
OLD_SERVER = """
CREATE SCHEMA old;
CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql AS
    'SELECT CASE name WHEN ''server_version_num'' THEN ''130023'' ELSE pg_catalog.current_setting(name) END';
GRANT USAGE ON SCHEMA old TO PUBLIC
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
        # Not those of an extension: TimescaleDB's are in the schema public, too.
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
        " UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relname = ANY (%s) AND relkind = 'v'"
        " UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        "  AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
        " UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT relname || attname || format_type(atttypid, atttypmod) FROM pg_attribute"
        "  JOIN pg_class AS c ON c.oid = attrelid WHERE relkind = 'c' AND relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint"
        "  WHERE conrelid > 0 AND connamespace = 'public'::regnamespace",
        [list(VIEWS)],
    ).fetchall()
    return sorted(text for (text,) in found)
