"""The ledger that the other tests look at is the product's, but for where its now() comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.schema import revisions
from hvac_heartbeat.schema.migrations.versions.r0002_ledger import SQL, revision
from tests.database.ledger.clock import ITS_PATH, SEARCH_PATH, SQL_WITH_CLOCK, at

if TYPE_CHECKING:
    import psycopg

    from tests.conftest import Database
    from tests.database.ledger.clock import Ledger

# Everything the migration makes, as PostgreSQL prints it. No name is on the search_path, so that all are qualified.
DEFINITIONS = """
SELECT 'view', relname::text, pg_get_viewdef(oid) FROM pg_class
 WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'function', proname::text, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
UNION ALL
SELECT 'trigger', tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
   AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
UNION ALL
SELECT 'constraint', conname::text, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', relname::text, pg_get_indexdef(oid) FROM pg_class
 WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'column', attrelid::regclass || '.' || attname,
       concat_ws(' ', atttypid::regtype, attnotnull, attidentity, pg_get_expr(adbin, adrelid))
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
"""


def definitions(connection: psycopg.Connection) -> dict[tuple[str, str], str]:
    connection.execute("SET search_path = pg_catalog")
    return {(kind, name): text for kind, name, text in connection.execute(DEFINITIONS) if "_schema_version" not in name}


def test_the_ledger_under_test_is_the_product_s_but_for_the_clock(ledger: Ledger, empty_database: Database) -> None:
    with empty_database.connect() as connection:
        with revisions.one_at_a_time(connection) as transaction:
            revisions.upgrade(transaction, revision)
        made = definitions(connection)
    tested: dict[Any, str] = {
        what: text.replace("clock.now()", "now()").replace(
            "SET search_path TO 'public', 'clock', 'pg_catalog', 'pg_temp'", "SET search_path TO 'public', 'pg_temp'"
        )
        for what, text in definitions(ledger.connection).items()
    }
    assert tested == made
    assert {"v_device_liveness", "device_availability", "note_silence", "silence_pkey"} <= {name for _, name in made}


def test_one_expression_was_replaced() -> None:
    assert SQL.count(ITS_PATH) == 1
    assert SQL_WITH_CLOCK.replace(f"'{SEARCH_PATH}'", ITS_PATH) == SQL


def test_the_clock_is_the_ledgers(ledger: Ledger) -> None:
    assert ledger.one("SELECT started_at FROM ledger_start") == (at("00:00"),)
    ledger.heartbeat("a", at("08:00"))
    ledger.now(at("08:02"))
    assert ledger.one("SELECT liveness FROM v_device_liveness") == ("online",)
    ledger.now(at("08:03"))
    assert ledger.one("SELECT liveness FROM v_device_liveness") == ("stale",)
