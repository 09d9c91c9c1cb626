"""`hvac-heartbeat migrate`: create the table and the view where they are missing, adopt them where they are there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from hvac_heartbeat.cli.database import opened, place
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.output import console
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from hvac_heartbeat.schema import Plan


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    sql: Annotated[
        bool,
        typer.Option(
            "--sql", help="Print the SQL of what is missing (without DB_HOST, of all) for somebody else to run."
        ),
    ] = False,
) -> None:
    """Create device_state and v_devices_stale where they are missing; leave alone what is there.

    Works as a role that owns nothing, as long as nothing is missing. Issues no DDL on what exists.
    """
    from hvac_heartbeat import schema

    if sql and not (os.environ.get("DB_HOST") or os.environ.get("DB_SECRET_ARN")):
        typer.echo(schema.script(), nl=False)
        return
    settings = Settings.from_environment(os.environ)
    if sql:
        typer.echo(_script_for(settings), nl=False)
        return
    with opened(settings) as connection:
        plan = schema.look(connection) if dry_run else schema.migrate(connection)
    console.print(f"Database {place(settings)}: {_told(plan, dry_run=dry_run)}", markup=False, soft_wrap=True)


def _script_for(settings: Settings) -> str:
    from hvac_heartbeat import schema

    try:
        with opened(settings) as connection:
            return schema.script(schema.look(connection))
    except DatabaseRefused as error:
        raise DatabaseRefused(f"{error}; with DB_HOST unset, --sql prints the SQL for an empty schema") from error


def _told(plan: Plan, *, dry_run: bool) -> str:
    from hvac_heartbeat.schema import Outcome

    present, missing = " and ".join(plan.present), " and ".join(plan.missing)
    match plan.outcome:
        case Outcome.CURRENT:
            return "up to date, nothing to do."
        case Outcome.ADOPTED:
            would = "would be adopted as they are" if dry_run else "adopted as they are, recorded"
            return f"{present} are there; {would}."
        case Outcome.ADOPTED_UNRECORDED:
            return (
                f"{present} are there. Role {plan.role} may not create a table "
                f"in schema {plan.schema}, so this was not recorded; nothing else to do."
            )
        case Outcome.CREATED:
            return f"{'would create' if dry_run else 'created'} {missing} in schema {plan.schema}."
