"""The PostgreSQL server of a run, or of each of its workers: started at first use, stopped at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import psycopg.conninfo
import pytest

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the server makes a folder of its own there
_ENOUGH_BYTES: Final = 4 << 30  # a server's write-ahead log alone grows to 1 GB (max_wal_size)


@dataclass(frozen=True)
class TestServer:
    """A server to test on: how to reach its databases as a role that may create them."""

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
    """Return the server of this process, starting it at first use; end the run in one line where there is none."""
    if not _started:
        url, bindir = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_POSTGRES_BINDIR")
        try:
            if url:
                _started.append(TestServer(psycopg.conninfo.make_conninfo(url)))
            else:
                with _in_memory():
                    throwaway = PostgresServer(Path(bindir) if bindir else None).start()
                _started.append(TestServer(psycopg.conninfo.make_conninfo(throwaway.url()), throwaway))
            lacking = _lacking_rights(_started[0])
        except (HvacHeartbeatError, psycopg.Error) as failure:
            pytest.exit(f"No PostgreSQL to test on: {str(failure).strip().splitlines()[0]}", returncode=1)
        if lacking:
            pytest.exit(f"No PostgreSQL to test on: {lacking}", returncode=1)
    return _started[0]


@contextmanager
def _in_memory() -> Iterator[None]:
    """Have temporary folders made in memory, where there is enough of it: databases are copied twice as fast there."""
    before = tempfile.tempdir
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
        tempfile.tempdir = str(_MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = before


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


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the server that the tests will run on."""
    workers = config.getoption("numprocesses", default=None)
    with psycopg.connect(_server().conninfo) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        found = timescale(connection)
    if workers:  # each starts its own; this one was to be asked
        pytest_unconfigure()
    throwaway = f"a throwaway server for each of {workers} workers" if workers else "a throwaway server"
    origin = "TEST_DATABASE_URL" if os.environ.get("TEST_DATABASE_URL") else throwaway
    with_timescale = f"TimescaleDB {found}" if found else "TimescaleDB not there, so not tested with"
    return [f"database: PostgreSQL {version[0] if version else '?'} ({origin}), {with_timescale}"]


def pytest_unconfigure() -> None:
    """Stop the server that this process started."""
    for server in _started:
        if server.throwaway:
            server.throwaway.close()
    _started.clear()


@pytest.fixture(scope="session")
def server() -> TestServer:
    """The server of this process: embedded, or TEST_POSTGRES_BINDIR's, or TEST_DATABASE_URL."""
    return _server()
