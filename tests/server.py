"""The one PostgreSQL server of a run: started at first use, named in the report's header, stopped at the end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.conninfo
import pytest

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.postgres import PostgresServer


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


def timescale(connection: psycopg.Connection) -> str | None:
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
        found = timescale(connection)
    origin = "TEST_DATABASE_URL" if os.environ.get("TEST_DATABASE_URL") else "a throwaway server"
    with_timescale = f"TimescaleDB {found}" if found else "TimescaleDB not there, so not tested with"
    return [f"database: PostgreSQL {version[0] if version else '?'} ({origin}), {with_timescale}"]


def pytest_unconfigure() -> None:
    """Stop the server that this run started."""
    for server in _started:
        if server.throwaway:
            server.throwaway.close()
    _started.clear()


@pytest.fixture(scope="session")
def server() -> TestServer:
    """The server of this run: embedded, or TEST_POSTGRES_BINDIR's, or TEST_DATABASE_URL."""
    return _server()
