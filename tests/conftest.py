"""Every test's database: one server for each process, one template there, a copy of it for each test."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.aws.handler import lambda_handler, reset
from tests.server import TestServer, pytest_report_header, pytest_unconfigure, server, timescale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Hooks and a fixture of pytest, which looks for them here.
__all__ = ["TestServer", "pytest_report_header", "pytest_unconfigure", "server"]

pytest_plugins = ["tests.skips", "tests.small_lambda.fixtures", "tests.workers"]

# The table and the view, word for word as users have them: what a database has that is not ours.
TABLE_AND_VIEW = """
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

_ORDER = (
    "unit",
    "triggers",
    "web",
    "database",
    "deployment",
    "simulated_month",
    "end_to_end",
    "fleet_page",
    "small_lambda",
    "benchmarks",
)
# What starts servers of its own, waits for time-outs or draws thousands of inputs.
_SLOW = (
    "/tests/benchmarks/",
    "/tests/deployment/",
    "/tests/small_lambda/",
    "/tests/database/refusals/",
    "/tests/database/ledger/test_oracle.py",
    "/tests/database/test_checkup",
    "/tests/database/test_concurrency.py",
    "/tests/database/test_credentials.py",
    "/tests/database/test_failures.py",
    "/tests/database/test_fixes.py",
    "/tests/database/test_laws.py",
    "/tests/database/test_ledger_",
    "/tests/database/test_local_postgres.py",
    "/tests/database/test_pgbouncer.py",
    "/tests/database/test_retries.py",
    "/tests/database/test_schema.py",
    "/tests/database/test_silent_servers.py",
    "/tests/database/test_table_locks.py",
    "/tests/database/test_tls.py",
    "/tests/end_to_end/test_consent.py",
    "/tests/end_to_end/test_readme.py",
    "/tests/fleet_page/",
    "/tests/simulated_month/",
    "/tests/unit/test_workers.py",
    "/tests/triggers/test_database_away.py",
)
_DATABASE_FIXTURES = {"server", "empty_database", "database", "connection", "environment"}


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the cheap folders first, and mark what is slow and what needs a database.

    Workers take the cheap folders last: what is left in the end is then short, and none waits for another. The folders
    with tests that run alone come first, well before the test that takes a minute: all would wait for it.
    """

    def rank(item: pytest.Item) -> int:
        return next(place for place, name in enumerate(_ORDER) if f"/{name}/" in str(item.path))

    items.sort(key=rank, reverse=hasattr(config, "workerinput"))
    for item in items:
        if any(part in str(item.path) for part in _SLOW):
            item.add_marker(pytest.mark.slow)
        asks_for_one = isinstance(item, pytest.Function) and _DATABASE_FIXTURES & set(item.fixturenames)
        # What is deployed and what a browser shows is the same on every server version, and takes its time.
        is_once = any(part in str(item.path) for part in ("/tests/deployment/", "/tests/fleet_page/"))
        if (asks_for_one and not is_once) or "/tests/database/" in str(item.path):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def template(server: TestServer) -> Iterator[str]:
    """A database with the table and the view, made once and copied for each test."""
    name = f"hvac_template_{uuid4().hex[:12]}"
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(server.url(name), autocommit=True) as inside:
            if timescale(inside):
                inside.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            inside.execute(TABLE_AND_VIEW)
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
        _await_nobody(admin, name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _await_nobody(admin: psycopg.Connection, name: str) -> None:
    """Give a backend whose client has gone a moment to end: DROP DATABASE would sleep for 100 ms where it meets one."""
    for _ in range(20):
        if not admin.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [name]).rowcount:
            return
        time.sleep(0.002)


@pytest.fixture
def empty_database(server: TestServer) -> Iterator[Database]:
    """A new database with nothing in it."""
    yield from _new_database(server, "template1")


@pytest.fixture
def database(server: TestServer, template: str) -> Iterator[Database]:
    """A new database with the table and the view, both empty."""
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
