"""A role that may write no heartbeats, and what it may not do through the functions that have their maker's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.schema.migrations.versions.r0003_telling import SQL as TELLING
from tests.database.ledger_law.schema import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

HOSTILE = """
CREATE FUNCTION format(text, name) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'run by %', current_user; RETURN ''; END $$
"""


@pytest.fixture
def stranger(
    connection: psycopg.Connection, roles: dict[str, sql.Identifier], database: Database
) -> Iterator[psycopg.Connection]:
    """A role that may create in the schema of device_state, as all may in PostgreSQL 14, and nothing else."""
    connection.execute(LEDGER)
    connection.execute(sql.SQL("REVOKE ALL ON device_state FROM {writer}").format(**roles))
    connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {writer}").format(**roles))
    role = roles["writer"].as_string().strip('"')
    with psycopg.connect(database.url, user=role, password="writer", autocommit=True) as stranger:
        yield stranger


def test_a_trigger_on_a_table_of_its_own_writes_no_silence(
    stranger: psycopg.Connection, connection: psycopg.Connection
) -> None:
    for statement in (
        "CREATE TEMPORARY TABLE device_state (device_id text, site_id text, last_seen_ts timestamptz)",
        "CREATE TRIGGER forged AFTER UPDATE ON pg_temp.device_state FOR EACH ROW EXECUTE FUNCTION note_silence()",
        "INSERT INTO pg_temp.device_state VALUES ('d', 's', '2026-01-01')",
        "UPDATE pg_temp.device_state SET last_seen_ts = '2026-02-01'",
    ):
        stranger.execute(statement)
    found = connection.execute("SELECT (SELECT count(*) FROM silence), (SELECT count(*) FROM first_heartbeat)")
    assert found.fetchall() == [(0, 0)]


@pytest.mark.parametrize(
    "call",
    [
        "note_late_heartbeats('{d}', '{2026-01-01}', '{s}')",
        "sweep()",
        "lease_messages('{webhook}', 1)",
        "note_deliveries('{1}', '[]', '{f}')",
    ],
)
def test_a_better_fitting_function_of_its_own_is_not_run(
    stranger: psycopg.Connection, connection: psycopg.Connection, call: str
) -> None:
    with connection.transaction():
        connection.execute(TELLING.encode())
    heard: list[str | None] = []
    stranger.add_notice_handler(lambda said: heard.append(said.message_primary))
    stranger.execute(HOSTILE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not update device_state"):
        stranger.execute(f"SELECT {call}".encode())
    assert heard == []


def test_a_right_to_the_columns_that_heartbeats_change_is_enough(
    stranger: psycopg.Connection, connection: psycopg.Connection, roles: dict[str, sql.Identifier]
) -> None:
    with connection.transaction():
        connection.execute(TELLING.encode())
    connection.execute(sql.SQL("GRANT UPDATE (last_seen_ts) ON device_state TO {writer}").format(**roles))
    stranger.execute("SELECT note_late_heartbeats('{d}', '{2026-01-01}', '{s}')")
    assert stranger.execute("SELECT is_skipped FROM sweep()").fetchone() == (False,)


@pytest.mark.usefixtures("stranger")
def test_partitions_give_evidence(connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE device_state RENAME TO whole; DROP TRIGGER note_silence ON whole")
    connection.execute("DROP TRIGGER note_first_heartbeat ON whole")
    connection.execute("CREATE TABLE device_state (LIKE whole INCLUDING ALL) PARTITION BY HASH (device_id)")
    connection.execute("CREATE TABLE part PARTITION OF device_state FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    connection.execute(LEDGER)
    connection.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 's', '2026-01-01')")
    connection.execute("UPDATE device_state SET last_seen_ts = '2026-02-01'")
    found = connection.execute("SELECT (SELECT count(*) FROM silence), (SELECT count(*) FROM first_heartbeat)")
    assert found.fetchall() == [(1, 1)]


def test_shards_give_evidence(stranger: psycopg.Connection, connection: psycopg.Connection) -> None:
    """A table of the same owner that is called as Citus calls a shard, and none that somebody else calls so."""
    for maker, table in ((connection, "device_state_102008"), (stranger, "device_state_102009"), (connection, "a_1")):
        for statement in (
            "CREATE TABLE {table} (device_id text, site_id text, last_seen_ts timestamptz)",
            "CREATE TRIGGER t AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION note_silence()",
            "INSERT INTO {table} VALUES ('{table}', 's', '2026-01-01')",
        ):
            maker.execute(statement.format(table=table).encode())
    found = connection.execute("SELECT device_id FROM first_heartbeat").fetchall()
    assert found == [("device_state_102008",)]
