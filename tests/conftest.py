"""Every test's database: one server for the run, one template, a copy of it for each test."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import psycopg.conninfo
import pytest
from psycopg import sql

from hvac_heartbeat.aws.handler import lambda_handler, reset
from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest_plugins = ["tests.skips", "tests.small_lambda.fixtures"]

# The mission's table and view, word for word: what a database has that is not ours.
MISSION_SCHEMA = """
CREATE TABLE device_state (
    device_id TEXT PRIMARY KEY,
    site_id TEXT NOT NULL,
    last_seen_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    last_upload_ts TIMESTAMP WITH TIME ZONE,
    queue_depth INTEGER,
    agent_version TEXT,
    poll_interval_s INTEGER,
    cpu_pct FLOAT,
    disk_free_gb FLOAT,
    status TEXT CHECK (status IN ('ready','degraded','error')),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE OR REPLACE VIEW v_devices_stale AS
SELECT device_id, site_id, last_seen_ts, now() - last_seen_ts AS age
FROM device_state
WHERE now() - last_seen_ts > interval '120 seconds';
"""

_ORDER = ("unit", "triggers", "database", "deployment", "end_to_end")
_DATABASE_FIXTURES = {"server", "empty_database", "database", "connection", "environment"}


@dataclass(frozen=True)
class TestServer:
    """The server of this run: how to reach its databases as a role that may create them."""

    __test__ = False

    conninfo: str
    throwaway: PostgresServer | None = None

    def url(self, database: str, *, user: str | None = None) -> str:
        """Return a connection string for one of its databases."""
        changed = {"dbname": database} | ({"user": user} if user else {})
        return psycopg.conninfo.make_conninfo(self.conninfo, **changed)

    def environment(self, database: str) -> dict[str, str]:
        """Return the DB_* variables that lead the function to one of its databases."""
        with psycopg.connect(self.url(database)) as connection:
            info = connection.info
            found = {"DB_HOST": info.host, "DB_PORT": str(info.port), "DB_NAME": database, "DB_USER": info.user}
            return found | ({"DB_PASSWORD": info.password} if info.password else {})


@dataclass(frozen=True)
class Database:
    """One test's own database."""

    name: str
    server: TestServer

    @property
    def url(self) -> str:
        """A connection string of libpq's key=value form."""
        return self.server.url(self.name)

    @property
    def environment(self) -> dict[str, str]:
        """The DB_* variables that lead the function here."""
        return self.server.environment(self.name)

    def connect(self, *, user: str | None = None) -> psycopg.Connection:
        """Open a connection of the test's own, in autocommit mode."""
        return psycopg.connect(self.server.url(self.name, user=user), autocommit=True)


_started: list[TestServer] = []


def _server() -> TestServer:
    """Return the server of this run, starting it at first use; end the run in one line where there is none."""
    if not _started:
        url, bindir = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_POSTGRES_BINDIR")
        try:
            if url:
                _started.append(TestServer(psycopg.conninfo.make_conninfo(url)))
            else:
                throwaway = PostgresServer(Path(bindir) if bindir else None).start()
                _started.append(TestServer(psycopg.conninfo.make_conninfo(throwaway.url()), throwaway))
            lacking = _lacking_rights(_started[0])
        except (HvacHeartbeatError, psycopg.Error) as failure:
            pytest.exit(f"No PostgreSQL to test on: {str(failure).strip().splitlines()[0]}", returncode=1)
        if lacking:
            pytest.exit(f"No PostgreSQL to test on: {lacking}", returncode=1)
    return _started[0]


def _lacking_rights(server: TestServer) -> str | None:
    with psycopg.connect(server.conninfo) as connection:
        found = connection.execute(
            "SELECT current_user, rolsuper OR rolcreatedb AND rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    return None if found and found[1] else f"role {found and found[0]} may not create databases and roles"


def _timescale(connection: psycopg.Connection) -> str | None:
    """Return TimescaleDB's version where the server has loaded it; installed files alone cannot be used."""
    found = connection.execute(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
        " AND current_setting('timescaledb.max_background_workers', true) IS NOT NULL"
    ).fetchone()
    return found[0] if found else None


def pytest_report_header() -> list[str]:
    """Name the server that the tests will run on."""
    with psycopg.connect(_server().conninfo) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        timescale = _timescale(connection)
    origin = "TEST_DATABASE_URL" if os.environ.get("TEST_DATABASE_URL") else "a throwaway server"
    with_timescale = f"TimescaleDB {timescale}" if timescale else "TimescaleDB not there, so not tested with"
    return [f"database: PostgreSQL {version[0] if version else '?'} ({origin}), {with_timescale}"]


def pytest_unconfigure() -> None:
    """Stop the server that this run started."""
    for server in _started:
        if server.throwaway:
            server.throwaway.close()
    _started.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the cheap folders first and mark what needs a database."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(_ORDER) if f"/{name}/" in str(item.path)), len(_ORDER))

    items.sort(key=rank)
    for item in items:
        asks_for_one = isinstance(item, pytest.Function) and _DATABASE_FIXTURES & set(item.fixturenames)
        # What is deployed is the same on every server version, and the emulator takes its time.
        deploys = "/tests/deployment/" in str(item.path)
        if (asks_for_one and not deploys) or "/tests/database/" in str(item.path):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def server() -> TestServer:
    """The server of this run: embedded, or TEST_POSTGRES_BINDIR's, or TEST_DATABASE_URL."""
    return _server()


@pytest.fixture(scope="session")
def template(server: TestServer) -> Iterator[str]:
    """A database with the mission's table and view, made once and copied for each test."""
    name = f"hvac_template_{uuid4().hex[:12]}"
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(server.url(name), autocommit=True) as inside:
            if _timescale(inside):
                inside.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            inside.execute(MISSION_SCHEMA)
        yield name
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _copy(admin: psycopg.Connection, create: sql.Composed) -> None:
    """Copy a template as soon as nobody is in it: TimescaleDB's background worker looks into every database."""
    for _ in range(60):
        try:
            admin.execute(create)
        except psycopg.errors.ObjectInUse:
            time.sleep(0.5)
        else:
            return
    admin.execute(create)


def _new_database(server: TestServer, template: str) -> Iterator[Database]:
    name = f"hvac_{uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        _copy(admin, create.format(sql.Identifier(name), sql.Identifier(template)))
        yield Database(name, server)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(server: TestServer) -> Iterator[Database]:
    """A new database with nothing in it."""
    yield from _new_database(server, "template1")


@pytest.fixture
def database(server: TestServer, template: str) -> Iterator[Database]:
    """A new database with the mission's table and view, both empty."""
    yield from _new_database(server, template)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the test's own to `database`, in autocommit mode."""
    with database.connect() as connection:
        yield connection


@pytest.fixture
def environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The DB_* variables that lead to `database`, also set in os.environ, and nothing else of ours."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    for name, value in database.environment.items():
        monkeypatch.setenv(name, value)
    return database.environment


@pytest.fixture
def handler(environment: dict[str, str]) -> Iterator[Callable[[object], Any]]:
    """`lambda_handler` on `database`, as a new execution environment would meet it."""
    reset()
    yield lambda event: lambda_handler(event, None)
    reset()
