"""The server under measure: an embedded one of our own, or the one that DB_* names; always a database of our own."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks import fleet
from hvac_heartbeat.local.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# As a production server has them, but for the caches, which a small machine shares with the client.
EMBEDDED_SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "max_connections": "60",
}
PRINTED_SETTINGS = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "checkpoint_timeout",
    "max_wal_size",
    "shared_buffers",
    "wal_compression",
    "autovacuum",
)


@dataclass(frozen=True)
class Server:
    """A server where we may create databases."""

    conninfo: str
    postmaster: int | None = None  # its process id, where it runs on this machine and we may look at it

    @contextlib.contextmanager
    def database(self, *, synchronous_commit: bool = True, schema: str = fleet.TABLE_AND_VIEW) -> Iterator[Database]:
        """Make a database with the table, lead DB_* to it, and drop it in the end."""
        name = f"hvac_bench_{uuid4().hex[:12]}"
        with psycopg.connect(self.conninfo, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            if not synchronous_commit:
                admin.execute(
                    sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)),
                )
            try:
                with psycopg.connect(make_conninfo(self.conninfo, dbname=name), autocommit=True) as connection:
                    connection.execute(schema.encode())
                    database = Database(self, name, connection)
                    os.environ.update(database.environment)
                    yield database
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass
class Database:
    """A database of our own, and an administrator's connection to it that no benchmark measures."""

    server: Server
    name: str
    admin: psycopg.Connection
    circumstances: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        query = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name"
        self.circumstances = {
            "postgresql": self.value("SHOW server_version"),
            **dict(self.admin.execute(query, [list(PRINTED_SETTINGS)]).fetchall()),
        }

    @property
    def conninfo(self) -> str:
        """A connection string of libpq's form."""
        return make_conninfo(self.server.conninfo, dbname=self.name)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the function here, and let it log as it does in Lambda."""
        info = self.admin.info
        found = {"DB_HOST": info.host, "DB_PORT": str(info.port), "DB_NAME": self.name, "DB_USER": info.user}
        found["HEARTBEAT_LOG"] = "minute"
        return found | ({"DB_PASSWORD": info.password} if info.password else {})

    def value(self, query: str, *parameters: object) -> Any:
        """Return the one value of a query."""
        row = self.admin.execute(query.encode(), parameters).fetchone()
        if row is None:
            raise LookupError(query)
        return row[0]

    def tune(self, statement: str) -> None:
        """Change the table and rewrite it, so that every page has the new form."""
        self.admin.execute(statement.encode())
        self.admin.execute("VACUUM (FULL, ANALYZE) device_state")

    def backends(self) -> set[int]:
        """Return the process ids of the clients' server processes."""
        rows = self.admin.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in rows}


def cpu_ns(pids: set[int]) -> int:
    """Return the CPU nanoseconds of running processes: the first word of their schedstat (proc_pid_schedstat(5))."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


@contextlib.contextmanager
def open_server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start an embedded server, with settings of its own if there are any, or take the one that DB_* names."""
    before = dict(os.environ)
    try:
        if "DB_HOST" in os.environ:
            yield Server(_named(os.environ))
        else:
            with PostgresServer(settings={**EMBEDDED_SETTINGS, **(settings or {})}) as embedded:
                yield Server(make_conninfo(embedded.url()), embedded.pid)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _named(environment: os._Environ[str]) -> str:
    names = {"host": "DB_HOST", "port": "DB_PORT", "dbname": "DB_NAME", "user": "DB_USER", "password": "DB_PASSWORD"}
    return make_conninfo(**{key: environment[name] for key, name in names.items() if environment.get(name)})
