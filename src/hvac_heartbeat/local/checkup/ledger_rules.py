"""What is wrong with the ledger of silence and its telling, which heartbeats are written without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.fixes import fix
from hvac_heartbeat.schema.parts import TELLING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hvac_heartbeat.schema import Ledger

    Facts = Mapping[str, Any]

_UNTOLD: Final = "Nobody is told of silent sites: a tick only counts."
_LOST: Final = "Without it there is no history of silences and no report, and a late heartbeat corrects nothing."
_MEND: Final = "Run `hvac-heartbeat migrate` as the role that made the ledger"


def missing(ledger: Ledger, table: Facts) -> Iterator[Finding]:
    """Say which parts are missing, what is lost without them, and who can make them."""
    if not ledger.missing:
        return
    if not ledger.is_supported:
        yield Finding("ledger", Level.NOTE, f"no ledger of silence: {ledger.obstacle}", f"{_LOST} {_UNTOLD}")
        return
    who = (
        f"Run `hvac-heartbeat migrate` as {table['owner']}, or as another role that has CREATE on schema "
        f"{table['schema']} and SELECT, UPDATE and TRIGGER on {table['name']}."
    )
    if ledger.is_new:
        yield Finding("ledger", Level.WARNING, "the ledger of silence is not there", f"{_LOST} {_UNTOLD} {who}")
        return
    lacking = [part for part in ledger.missing if part not in TELLING]
    if lacking:
        yield Finding(
            "ledger",
            Level.WRONG if ledger.was_blind else Level.WARNING,
            f"missing: {', '.join(lacking)}",
            _MEND + (": until then, silences that end are not written." if ledger.was_blind else "."),
        )
    yield from _missing_of_telling([part for part in ledger.missing if part in TELLING])


def _missing_of_telling(parts: Sequence[str]) -> Iterator[Finding]:
    if len(parts) == len(TELLING):
        found = "the telling beside the ledger of silence is not there"
        yield Finding("telling", Level.WARNING, found, f"{_UNTOLD} {_MEND}.")
    elif parts:
        advice = f"{_MEND}: until then, nobody is told of silent sites."
        yield Finding("telling", Level.WRONG, f"missing: {', '.join(parts)}", advice)


def triggers(ledger: Ledger, table: Facts, role: Facts, replication_role: str) -> Iterator[Finding]:
    """Say what keeps the triggers from running."""
    for name in ledger.disabled:
        yield Finding(
            "ledger",
            Level.WRONG,
            f"trigger {name} is disabled",
            "Silences that end are not written: enable it.",
            fix("enable_trigger", table=table["sql"], trigger=name),
        )
    if replication_role == "replica":
        yield Finding(
            "ledger",
            Level.WRONG,
            "session_replication_role is replica for this role, and no trigger runs",
            "Silences that end are not written, and foreign keys are not looked at: set it back, as a superuser.",
            fix("run_triggers", role=role["role_sql"], database=role["name_sql"]),
        )


def owners(found: Sequence[Facts]) -> Iterator[Finding]:
    """Say what the owners of the ledger's functions lack, with whose rights the functions work."""
    for lack in found:
        rights = ", ".join(lack["lacking"])
        yield Finding(
            "ledger",
            Level.WRONG,
            f"role {lack['owner']}, who owns the ledger's functions, lacks {rights} on {lack['name']}",
            "Silences are not written, or late heartbeats do not correct them: grant it.",
            fix("grant", rights=rights, relation=lack["sql"], role=lack["owner_sql"]),
        )


def role_rights(facts: Facts, role: Facts) -> Iterator[Finding]:
    """Say what the role itself lacks: to correct the ledger, and to read it."""
    if facts["late_function"] and not facts["may_note_late"]:
        yield Finding(
            "ledger",
            Level.WRONG,
            "the role may not call note_late_heartbeats",
            "Late heartbeats do not correct the ledger: grant it.",
            fix("grant", rights="EXECUTE", relation=f"FUNCTION {facts['late_function']}", role=role["role_sql"]),
        )
    if facts["uncallable"]:
        yield Finding(
            "telling",
            Level.WRONG,
            f"the role may not call {', '.join(facts['uncallable'])}",
            "Ticks fail, and nobody is told of silent sites: grant it.",
            fix(
                "grant",
                rights="EXECUTE",
                relation=f"FUNCTION {', '.join(facts['uncallable_sql'])}",
                role=role["role_sql"],
            ),
        )
    if facts["unreadable"]:
        yield Finding(
            "ledger",
            Level.WARNING,
            f"the role cannot read {', '.join(facts['unreadable'])}",
            "Heartbeats do not need it; `hvac-heartbeat status`, `silences`, `report`, `episodes` and `messages` do.",
            fix("grant", rights="SELECT", relation=", ".join(facts["unreadable_sql"]), role=role["role_sql"]),
        )
