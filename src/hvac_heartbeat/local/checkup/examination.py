"""Connects the way the function does, looks at everything it depends on, and changes nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.checkup import column_rules, ledger_rules, role_rules, server_rules, table_rules
from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.tls import examine_tls
from hvac_heartbeat.local.formats import set_formats
from hvac_heartbeat.schema import SchemaError
from hvac_heartbeat.schema import ledger as silence_ledger
from hvac_heartbeat.schema.parts import CALLED, TABLES, VIEWS
from hvac_heartbeat.store.connection import connect
from hvac_heartbeat.store.credentials import credentials
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import classify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.settings import Settings
    from hvac_heartbeat.store.timeout import BoundedConnection

_TIME_S = 10.0
_SQL = Path(__file__).with_name("checkup.sql")


def examine(settings: Settings) -> list[Finding]:
    """Return everything that was looked at; where there is no way in, why."""
    deadline = time.monotonic() + _TIME_S
    try:
        with connect(settings, deadline) as connection:
            connection.deadline = deadline
            set_formats(connection)
            found = [Finding("connection", Level.OK, "connected and logged in"), *_inside(connection)]
    except StoreUnavailable as error:
        return [Finding("connection", Level.WRONG, error.in_full)]
    except psycopg.Error as error:
        failure = classify(error)
        said = StoreUnavailable(failure.message, where=failure.where, cause=failure.cause).in_full
        advice = failure.advice or "see docs/database.md"
        found = [Finding("connection", Level.WRONG, said, f"{advice[0].upper()}{advice[1:]}.")]
    login = credentials(settings, deadline)
    return [found[0], examine_tls(settings, login.host.split(",")[0], login.port or 5432), *found[1:]]


def _inside(connection: BoundedConnection) -> Iterator[Finding]:
    connection.read_only = True
    with connection.transaction():
        asked = datetime.now(UTC)
        server = _ask(connection, "server")[0]
        answered = datetime.now(UTC)
        yield from server_rules.server(server)
        yield from server_rules.clock(server["clock"] - (asked + (answered - asked) / 2))
        yield from server_rules.pooler(server["backend"], connection.info.backend_pid)
        if not server["has_table"]:
            yield server_rules.no_table(server)
            return
        table, constraints = _ask(connection, "relation")[0], _ask(connection, "constraints")
        yield from table_rules.relation(table, server["role_sql"])
        yield from column_rules.columns(_ask(connection, "columns"), table["sql"])
        yield from column_rules.checks(constraints)
        yield from role_rules.rights(table, server, _ask(connection, "surroundings")[0])
        yield from table_rules.foreign_keys(constraints)
        yield from table_rules.indexes(_ask(connection, "indexes"), server["version_num"])
        yield from table_rules.storage(table, autovacuum=server["autovacuum"])
        found = [*_ledger(connection, table, server)]
        yield from found or [Finding("ledger", Level.OK, "all of it is there, and it is written")]


def _ledger(connection: BoundedConnection, table: dict[str, Any], server: dict[str, Any]) -> Iterator[Finding]:
    try:
        ledger = silence_ledger.look(connection)
    except SchemaError as error:
        yield Finding("ledger", Level.WRONG, str(error))
        return
    yield from ledger_rules.missing(ledger, table)
    if ledger.is_new:
        return
    [role] = _ask(connection, "ledger_role", [*TABLES, *VIEWS], [*CALLED])
    yield from ledger_rules.triggers(ledger, table, server, role["replication_role"])
    yield from ledger_rules.owners(_ask(connection, "ledger_owners"))
    yield from ledger_rules.role_rights(role, server)


def _ask(connection: BoundedConnection, query: str, *parameters: object) -> list[dict[str, Any]]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(queries(_SQL)[query].encode(), parameters).fetchall()
