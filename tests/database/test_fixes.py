"""Every SQL that `hvac-heartbeat check` suggests: each mends what it is for, on a real server, and harms nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.aws import handler
from hvac_heartbeat.local.checkup.fixes import FIXES
from hvac_heartbeat.schema import migrate
from hvac_heartbeat.store.queries import queries
from tests.database.checkup import look, writer
from tests.database.invocation import deliver, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.local.checkup.finding import Finding
    from tests.conftest import Database

__all__ = ["writer"]


class Case(NamedTuple):
    """SQL that breaks a good database, and words of each finding that is expected; {role} and {name} are filled in."""

    broken: str
    found: tuple[str, ...]
    has_ledger: bool = False


CASES = {
    "add_key": Case("ALTER TABLE device_state DROP CONSTRAINT device_state_pkey", ("no unique index",)),
    "add_columns": Case(
        """
        ALTER TABLE device_state DROP site_id CASCADE, DROP last_seen_ts CASCADE, DROP last_upload_ts,
            DROP queue_depth, DROP agent_version, DROP poll_interval_s, DROP cpu_pct, DROP disk_free_gb, DROP status,
            DROP updated_at
        """,
        ("missing: site_id, last_seen_ts",),
    ),
    "widen": Case(
        """
        ALTER TABLE device_state ALTER agent_version TYPE varchar(20), ALTER cpu_pct TYPE numeric(4,2),
            ALTER status TYPE char(9), ALTER queue_depth TYPE smallint, ALTER disk_free_gb TYPE real
        """,
        ("smallint", "character varying(20)", "numeric(4,2)", "real", "character(9)"),
    ),
    "allow_null": Case(
        """
        ALTER TABLE device_state ADD "Tenant" text NOT NULL DEFAULT 'x', ALTER cpu_pct SET NOT NULL;
        ALTER TABLE device_state ALTER "Tenant" DROP DEFAULT
        """,
        ("cpu_pct is NOT NULL", "Tenant is NOT NULL without a default"),
    ),
    "show_rows": Case("ALTER TABLE device_state ENABLE ROW LEVEL SECURITY", ("row-level security",)),
    "grant": Case(
        "REVOKE UPDATE ON device_state FROM {role}; REVOKE SELECT ON v_devices_stale FROM {role}",
        ("lacks UPDATE", "cannot read v_devices_stale"),
    ),
    "create_role": Case("GRANT DELETE ON device_state TO {role}; DROP VIEW v_devices_stale", ("more than needed",)),
    "create_role_with_view": Case("GRANT DELETE ON device_state TO {role}", ("more than needed: DELETE",)),
    "find_table": Case("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet", ("search_path (public)",)),
    "write_again": Case("ALTER ROLE {role} SET default_transaction_read_only = on", ("read-only",)),
    "write_again_here": Case(
        "ALTER ROLE {role} IN DATABASE {name} SET default_transaction_read_only = on", ("read-only",)
    ),
    "read_committed": Case("ALTER DATABASE {name} SET default_transaction_isolation = serializable", ("serializable",)),
    "drop_index": Case('CREATE INDEX "Seen" ON device_state (last_seen_ts DESC)', ("last_seen_ts",)),
    "vacuum": Case("ALTER TABLE device_state SET (autovacuum_enabled = off)", ("autovacuum is off for the table",)),
    "enable_trigger": Case(
        "ALTER TABLE device_state DISABLE TRIGGER note_silence, DISABLE TRIGGER note_first_heartbeat",
        ("trigger note_silence is disabled", "trigger note_first_heartbeat is disabled"),
        has_ledger=True,
    ),
    "run_triggers": Case(
        "ALTER ROLE {role} SET session_replication_role = replica", ("session_replication_role",), has_ledger=True
    ),
    "tune": Case("ALTER TABLE device_state RESET (fillfactor)", ("fillfactor 100",)),
}


@pytest.fixture
def owner(writer: str, database: Database) -> Iterator[psycopg.Connection]:
    """The owner of a database as it should be, with two devices in it."""
    with database.connect() as owner:
        role = sql.Identifier(writer)
        owner.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE ON device_state TO {}").format(role))
        owner.execute(sql.SQL("GRANT SELECT ON v_devices_stale TO {}").format(role))
        owner.execute("ALTER TABLE device_state SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)")
        owner.execute(
            "INSERT INTO device_state (device_id, site_id, last_seen_ts, cpu_pct, status)"
            " VALUES ('a', 's', now(), 1.5, 'ready'), ('b', 's', now(), 2.5, 'error')"
        )
        handler.reset()
        yield owner
        handler.reset()
        if owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [f"new_{writer}"]).fetchone():
            owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(f"new_{writer}")))


def run(owner: psycopg.Connection, writer: str, finding: Finding) -> None:
    """Run the SQL as somebody who looks for tables elsewhere; a role that it makes gets a name of the test's own."""
    owner.execute("SET search_path = pg_catalog")
    owner.execute(finding.sql.replace("hvac_heartbeat", f"new_{writer}").encode())
    owner.execute("RESET search_path")


def suggested(findings: list[Finding], name: str) -> list[Finding]:
    """Return the findings whose SQL is that statement of fixes.sql."""
    form = re.sub(r"\\{\w+\\}", ".+", re.escape(queries(FIXES)[name]))
    return [finding for finding in findings if re.fullmatch(form, finding.sql, re.DOTALL)]


@pytest.mark.parametrize("name", queries(FIXES))
def test_each_statement_mends_what_it_is_suggested_for(
    owner: psycopg.Connection, writer: str, database: Database, name: str
) -> None:
    case = CASES[name]  # a statement that no case runs fails here
    if case.has_ledger:
        migrate(owner)
    names = {"role": sql.Identifier(writer), "name": sql.Identifier(database.name)}
    owner.execute(sql.SQL(case.broken).format(**names))
    findings = suggested(look(), name)
    assert len(findings) == len(case.found), findings
    for words, finding in zip(case.found, findings, strict=True):
        assert words in finding.found
        run(owner, writer, finding)
    if not name.startswith("create_role"):  # which leaves the role that has too many rights to a person
        assert not suggested(look(), name)
    assert deliver("a", "new").acknowledged == {"a", "new"}
    owner.execute("SET search_path = public, fleet")
    assert owner.execute("SELECT count(*) FROM device_state").fetchone() == (3,)


def test_every_statement_has_a_case() -> None:
    assert set(CASES) == set(queries(FIXES))


def test_a_policy_for_the_function_shows_nobody_else_a_row(owner: psycopg.Connection, writer: str) -> None:
    reader = sql.Identifier(f"reader_{writer}")
    owner.execute("ALTER TABLE device_state ENABLE ROW LEVEL SECURITY")
    owner.execute(sql.SQL("CREATE ROLE {0}; GRANT SELECT ON device_state TO {0}").format(reader))
    try:
        [finding] = suggested(look(), "show_rows")
        run(owner, writer, finding)
        owner.execute(sql.SQL("SET ROLE {}").format(reader))
        assert owner.execute("SELECT count(*) FROM device_state").fetchone() == (0,)
    finally:
        owner.execute(sql.SQL("RESET ROLE; DROP OWNED BY {0}; DROP ROLE {0}").format(reader))


def test_a_new_role_has_no_password_and_the_least_rights(owner: psycopg.Connection, writer: str) -> None:
    owner.execute(sql.SQL("GRANT DELETE ON device_state TO {}").format(sql.Identifier(writer)))
    [finding] = suggested(look(), "create_role_with_view")
    run(owner, writer, finding)
    role = f"new_{writer}"
    assert owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role]).fetchone() == (None,)
    rights = "SELECT has_table_privilege(%s, 'device_state', asked) FROM unnest(%s::text[]) AS asked"
    asked = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"]
    assert [held for (held,) in owner.execute(rights, [role, asked])] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("CREATE RULE nowhere AS ON DELETE TO device_state DO INSTEAD NOTHING", "rules: nowhere"),
        ("ALTER TABLE device_state ALTER queue_depth TYPE text", "queue_depth is text"),
        ("ALTER TABLE device_state ALTER updated_at TYPE timestamp", "updated_at is timestamp"),
        ("CREATE UNIQUE INDEX seen ON device_state (device_id, last_seen_ts)", "seen holds last_seen_ts"),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "read-only"),
        ("ALTER TABLE device_state RENAME device_id TO device", "device_id is missing"),
        (
            """
            CREATE SCHEMA one CREATE TABLE device_state ();
            CREATE SCHEMA two;
            ALTER TABLE public.device_state SET SCHEMA two
            """,
            "search_path",
        ),
        (
            "ALTER TABLE device_state DROP CONSTRAINT device_state_pkey, ADD tenant text, ADD PRIMARY KEY (tenant)",
            "tenant is NOT NULL",
        ),
    ],
)
def test_where_sql_could_lose_something_there_is_advice_alone(
    owner: psycopg.Connection, database: Database, broken: str, words: str
) -> None:
    owner.execute("SET default_transaction_read_only = off; DELETE FROM device_state")
    owner.execute(sql.SQL(broken).format(name=sql.Identifier(database.name)))
    [finding] = [finding for finding in look() if words in finding.found]
    assert finding.advice
    assert not finding.sql


def test_an_index_that_queries_use_is_not_to_be_dropped(owner: psycopg.Connection) -> None:
    owner.execute("CREATE INDEX seen ON device_state (last_seen_ts)")
    owner.execute("SET enable_seqscan = off; SELECT FROM device_state WHERE last_seen_ts > now()")
    owner.execute("SELECT pg_stat_force_next_flush()" if owner.info.server_version >= 150000 else "SELECT 1")

    def finding() -> Finding:
        [found] = [finding for finding in look() if finding.found.startswith("seen holds")]
        return found

    wait_until(lambda: "have used it" in finding().advice)
    assert not finding().sql
