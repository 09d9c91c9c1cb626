"""What the server says is passed on: what can be one row's fault, and what it means where it is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.connection import ConnectFailed
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.sqlstates import StatementRefused, classify

if TYPE_CHECKING:
    from collections.abc import Iterator

INSERT = b"INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ($1, $2, now()), ('b', 'site', now())"
UPSERT = INSERT + b" ON CONFLICT (device_id) DO UPDATE SET site_id = excluded.site_id"
RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION refuse();
"""
POLICY = """
ALTER TABLE device_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY one_site ON device_state USING (true) WITH CHECK (site_id <> 'other');
CREATE ROLE policed LOGIN PASSWORD 'policed';
GRANT SELECT, INSERT, UPDATE ON device_state TO policed;
"""


@pytest.fixture
def store(environment: dict[str, str]) -> Iterator[Database]:
    store = Database(Settings.from_environment(environment))
    yield store
    store.close()


def refused(store: Database, statement: bytes, *parameters: bytes | None) -> StatementRefused:
    with pytest.raises(StatementRefused) as raised:
        store.execute(statement, parameters, time.monotonic() + 10)
    return raised.value


@pytest.mark.parametrize(
    ("device", "site", "expected"),
    [
        (b"a", None, ("23502", None, "site_id")),
        (b"b", b"site", ("23505", "device_state_pkey", None)),
        (b"\xff", b"site", ("22021", None, None)),
    ],
    ids=["not null", "unique", "not UTF-8"],
)
def test_a_row_that_cannot_be_written_is_refused_with_what_the_server_names(
    store: Database, device: bytes, site: bytes | None, expected: tuple[str, str | None, str | None]
) -> None:
    found = refused(store, INSERT, device, site)
    assert (found.sqlstate, found.constraint, found.column) == expected


def test_two_rows_that_the_database_takes_for_one(store: Database) -> None:
    assert refused(store, UPSERT, b"b", b"site").sqlstate == "21000"


def test_a_trigger_that_raises(store: Database, connection: psycopg.Connection) -> None:
    connection.execute(RAISE)
    found = refused(store, INSERT, b"a", b"site")
    assert (found.sqlstate, found.cause) == ("P0001", "not this one")
    assert found.in_full == f"{found} ({found.where}: not this one)"


def test_a_row_that_a_policy_refuses(
    store: Database, connection: psycopg.Connection, environment: dict[str, str]
) -> None:
    connection.execute(POLICY)
    store = Database(Settings.from_environment(environment | {"DB_USER": "policed", "DB_PASSWORD": "policed"}))
    try:
        assert refused(store, INSERT, b"a", b"other").sqlstate == "42501"
        store.execute(INSERT, [b"a", b"site"], time.monotonic() + 10)
    finally:
        store.close()
        connection.execute("DROP OWNED BY policed; DROP ROLE policed")


def test_a_statement_without_rows_is_refused_as_a_whole(store: Database, connection: psycopg.Connection) -> None:
    """A missing right, say: there is no row that could be left out."""
    host = connection.info.host
    with pytest.raises(StoreUnavailable, match="grant it") as raised:
        store.run("DO $$ BEGIN RAISE insufficient_privilege; END $$", time.monotonic() + 10)
    assert raised.value.sqlstate == "42501"
    assert raised.value.where == f"{host}:{connection.info.port}"
    assert host not in str(raised.value)


def test_a_cause_is_one_line_and_never_holds_the_password() -> None:
    said = "connection failed: server said: hunter2 is not it\n\tIs the server running?"
    found = classify(ConnectFailed(psycopg.OperationalError(said), "db:5432", "hunter2"))
    assert (found.where, found.cause) == ("db:5432", "server said: … is not it")
