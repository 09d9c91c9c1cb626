"""`hvac-heartbeat tune`: give the table the storage settings that heartbeats want."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from hvac_heartbeat.cli.database import opened, place
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.output import console
from hvac_heartbeat.settings import Settings

_LOOK = (
    "SELECT pg_has_role(c.relowner, 'USAGE'), c.oid::regclass::text, coalesce(c.reloptions, '{}')::text[] "
    "FROM pg_class AS c WHERE c.oid = to_regclass('device_state')"
)


def tune(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Set fillfactor and autovacuum of device_state so that updates stay fast, after asking.

    Only the table's owner can. PostgreSQL then leaves room in new pages; VACUUM FULL or pg_repack rewrites the old
    ones, at a time you choose.
    """
    from hvac_heartbeat.local.checkup.tuning import statement_to_tune

    settings = Settings.from_environment(os.environ)
    with opened(settings) as connection:
        found = connection.execute(_LOOK).fetchone()
        if found is None:
            raise DatabaseRefused("device_state is not there: run `hvac-heartbeat migrate` first")
        owned, *facts = found
        statement = statement_to_tune(*facts)
        if statement is None:
            console.print("Nothing to do: the table has these settings already.")
            return
        console.print(f"On {place(settings)}:\n{statement};", markup=False, soft_wrap=True)
        if not owned:
            raise DatabaseRefused("nothing was changed: this is for the owner of device_state to run")
        if not yes:
            typer.confirm("Apply this?", abort=True)
        connection.execute("SET lock_timeout = '5s'")
        connection.execute(statement.encode())
    console.print(
        "Done; new pages keep the room free. To give it to those that exist, choose a quiet moment for "
        "VACUUM (FULL) device_state, which locks the table, or use pg_repack.",
        soft_wrap=True,
    )
