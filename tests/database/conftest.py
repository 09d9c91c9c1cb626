"""What several files test on: a server that may be killed, and a database whose table has foreign keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.aws import handler
from hvac_heartbeat.local.postgres import PostgresServer
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store import database as store_database
from hvac_heartbeat.store.connection import connect
from tests.conftest import TABLE_AND_VIEW
from tests.database.invocation import deliver, join_threads
from tests.database.refusals.foreign_key_schema import FOREIGN_KEYS, Fleet
from tests.database.servers import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgresServer]:
    """A server of the module's own, to be killed; the function is its role `writer`."""
    bindir = os.environ.get("TEST_POSTGRES_BINDIR")
    with PostgresServer(Path(bindir) if bindir else None, settings=LIMITS, tcp=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(TABLE_AND_VIEW)
            admin.execute("CREATE ROLE writer LOGIN; GRANT SELECT, INSERT, UPDATE ON device_state TO writer")
        yield server


@pytest.fixture
def admin(fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The superuser's connection to the fragile server, on an empty table, with the function's container warm."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    variables = fragile.environment(user="writer") | {
        "DB_HOST": "127.0.0.1",
        "DB_PASSWORD": "not asked for",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    handler.reset()
    with psycopg.connect(fragile.url(), autocommit=True) as admin:
        admin.execute("TRUNCATE device_state")
        assert deliver("warm").acknowledged == {"warm"}
        yield admin
        join_threads()
    handler.reset()


@pytest.fixture
def logins(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What the function connects with, once its container is warm: its calls can be counted."""
    counted = Mock(wraps=connect)
    monkeypatch.setattr(store_database, "connect", counted)
    return counted


@pytest.fixture
def parents(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        connection.execute(FOREIGN_KEYS)
        yield connection


@pytest.fixture
def fleet(parents: psycopg.Connection, environment: dict[str, str]) -> Iterator[Fleet]:
    fleet = Fleet(Settings.from_environment(environment))
    yield fleet
    fleet.database.close()


@pytest.fixture
def as_role(parents: psycopg.Connection, database: Database) -> Iterator[Callable[[str], Fleet]]:
    """Make a store that works as a role with the rights that a test grants it and no others."""
    role = f"writer_{uuid4().hex[:8]}"
    named = sql.Identifier(role)
    parents.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'writer'").format(named))
    fleets = []

    def make(grants: str) -> Fleet:
        parents.execute(sql.SQL(grants).format(role=named))
        variables = database.environment | {"DB_USER": role, "DB_PASSWORD": "writer"}
        fleets.append(Fleet(Settings.from_environment(variables)))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.database.close()
    parents.execute(sql.SQL("DROP OWNED BY {}").format(named))
    parents.execute(sql.SQL("DROP ROLE {}").format(named))
