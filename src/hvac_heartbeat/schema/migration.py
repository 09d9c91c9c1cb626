"""Makes what a database lacks of the table, the view and the ledger, or prints the SQL for somebody else to run."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

import psycopg

from hvac_heartbeat.schema import ledger, revisions
from hvac_heartbeat.schema.adoption import OBJECTS, Outcome, Plan, look
from hvac_heartbeat.schema.ledger import SchemaError
from hvac_heartbeat.schema.revisions import BASE

# The lock that the triggers and the telling take is waited for this often, half a second each time. Heartbeats queue up
# behind the wait; in the pauses they are written.
_TRIES: Final = 5
_PAUSE_S: Final = 2.0


def migrate(connection: psycopg.Connection[Any]) -> Plan:
    """Create what is missing, adopt what is there, and return the plan that was followed.

    Takes an open connection and leaves it open, in autocommit mode. All or nothing: one transaction.

    Raises:
        SchemaError: when something is missing that the role may not create, or what is there cannot be adopted.
        psycopg.Error: when the database refuses it.
    """
    for _ in range(_TRIES - 1):
        with suppress(psycopg.errors.LockNotAvailable):
            return _migrate(connection)
        time.sleep(_PAUSE_S)
    try:
        return _migrate(connection)
    except psycopg.errors.LockNotAvailable as error:
        raise SchemaError(
            f"device_state was locked {_TRIES} times, {_holder(connection)}. Nothing was changed, and no heartbeat "
            "waited for long: end that transaction, or run this again when it has ended."
        ) from error


def _migrate(connection: psycopg.Connection[Any]) -> Plan:
    with revisions.one_at_a_time(connection) as transaction:
        plan = look(connection)
        if plan.outcome is Outcome.CREATED or (plan.may_record and (plan.recorded or "") < plan.target):
            revisions.upgrade(transaction, plan.target)
        # What was recorded and dropped, and where the role may make the ledger and not record it.
        if plan.ledger.is_to_be_made and ledger.look(connection).missing:
            connection.execute(_ledger_sql())
        return plan


def _holder(connection: psycopg.Connection[Any]) -> str:
    """Name whoever has kept the triggers away for the longest; only some roles may see since when."""
    found = connection.execute(
        "SELECT pid, usename, coalesce(' since ' || xact_start, '') FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE relation = to_regclass('device_state') AND granted AND mode NOT IN ('AccessShareLock', 'RowShareLock')"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " ORDER BY xact_start LIMIT 1"
    ).fetchone()
    return f"the longest by process {found[0]} of role {found[1]}{found[2]}" if found else "by somebody"


def script(plan: Plan | None = None) -> str:
    """Return the SQL for somebody else to run: for an empty schema, or what a plan says is missing, unrecorded."""
    if plan is None:
        return revisions.script("head")
    # Whoever runs it may look for tables elsewhere than the role does.
    begin = f"BEGIN;\nSET LOCAL search_path = {plan.path};\n" if plan.path else "BEGIN;\n"
    if plan.missing == OBJECTS and plan.recorded is None and plan.ledger.is_new:
        return revisions.script("head" if plan.ledger.is_supported else BASE).replace("BEGIN;\n", begin, 1)
    from hvac_heartbeat.schema.migrations.versions.r0001_device_state import STATEMENTS

    statements = [f"{STATEMENTS[name].strip()};\n" for name in plan.missing]
    if plan.ledger.missing and plan.ledger.is_supported:
        statements.append(_ledger_sql())
    if statements:
        return "\n".join([begin, *statements, "COMMIT;\n"])
    left_out = f"The ledger of silence is left out: {plan.ledger.obstacle}" if plan.ledger.missing else ""
    return f"-- {left_out or 'Nothing is missing'}.\n"


def _ledger_sql() -> str:
    from hvac_heartbeat.schema.migrations.versions import r0002_ledger, r0003_telling

    return f"{r0002_ledger.SQL}\n{r0003_telling.SQL}"
