"""`hvac-heartbeat migrate`: create what is missing of the table, the view and the ledger, adopt what is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from hvac_heartbeat.cli.database import is_database_named, opened, place
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.output import console
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hvac_heartbeat.schema import Ledger, Plan


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
    """Create device_state, v_devices_stale and the ledger of silence where they are missing; adopt what is there.

    Works as a role that owns nothing, as long as the table and the view are there. All that it does to an existing
    table is to give it the ledger's two triggers.
    """
    from hvac_heartbeat import schema

    if sql and not is_database_named():
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
    """Say it in sentences, of which the first one follows a colon."""
    first, *others = [*_base_told(plan, dry_run=dry_run), *_ledger_told(plan.ledger, dry_run=dry_run)]
    return " ".join([first, *(f"{sentence[0].upper()}{sentence[1:]}" for sentence in others)])


def _base_told(plan: Plan, *, dry_run: bool) -> Iterator[str]:
    from hvac_heartbeat.schema import Outcome

    if plan.outcome is Outcome.ADOPTED:
        would = "would be adopted as they are" if dry_run else "adopted as they are, recorded"
        yield f"{' and '.join(plan.present)} are there; {would}."
    elif plan.outcome is Outcome.ADOPTED_UNRECORDED:
        yield f"{' and '.join(plan.present)} are there; role {plan.role} may not record that, and need not."
    if plan.to_create:
        schema = plan.schema if plan.missing else plan.ledger.schema
        yield f"{'would create' if dry_run else 'created'} {listed(plan.to_create)} in schema {schema}."
    elif plan.outcome is Outcome.CURRENT:
        yield f"{' and '.join(plan.present)} are there." if plan.ledger.missing else "up to date, nothing to do."


def _ledger_told(ledger: Ledger, *, dry_run: bool) -> Iterator[str]:
    if ledger.is_to_be_made and ledger.was_blind:
        yield "silences that ended while something was missing are not in the ledger."
    if ledger.obstacle:
        made = "would not make" if dry_run else "did not make"
        yield f"{made} {ledger.name}: {ledger.obstacle}. Heartbeats are written without it."
    if ledger.grants:
        yield f"To have it, let the table's owner run this, or grant it and run this again: {' '.join(ledger.grants)}"
    for name in ledger.disabled:
        yield f"trigger {name} is disabled: `hvac-heartbeat check` says how to enable it."


def listed(names: Sequence[str]) -> str:
    """Join names the way a sentence does."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
