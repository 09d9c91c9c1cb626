"""What the role may do, compared with the least that the function needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.fixes import NO_FIX, fix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Facts = Mapping[str, Any]

_NEEDED: Final = ("SELECT", "INSERT", "UPDATE")
_POWERS: Final = {
    "rolsuper": "superuser",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolbypassrls": "BYPASSRLS",
    "rolreplication": "REPLICATION",
}
_VIEW_SERVES: Final = "`hvac-heartbeat stale` needs it, and so does the schedule's count where nothing sweeps."


def rights(table: Facts, role: Facts, around: Facts) -> Iterator[Finding]:
    """Name the rights that the role lacks, and those that it has no use for."""
    missing = [right for right in _NEEDED if right not in table["rights"]]
    if missing:
        yield Finding(
            "rights",
            Level.WRONG,
            f"the role lacks {', '.join(missing)} on {table['name']}",
            "Grant it.",
            fix("grant", rights=", ".join(missing), relation=table["sql"], role=role["role_sql"]),
        )
    if around["reads_view"] is None:
        yield Finding(
            "rights",
            Level.WARNING,
            "v_devices_stale is not there",
            f"{_VIEW_SERVES} Run `hvac-heartbeat migrate`.",
        )
    elif not around["reads_view"]:
        yield Finding(
            "rights",
            Level.WARNING,
            "the role cannot read v_devices_stale",
            _VIEW_SERVES,
            fix("grant", rights="SELECT", relation=around["view_sql"], role=role["role_sql"]),
        )
    excess = _excess(table, role, around)
    if excess:
        yield Finding(
            "rights",
            Level.WARNING,
            f"more than needed: {', '.join(excess)}",
            "Give the function a role of its own that may do nothing else (docs/database.md)"
            + (": hvac_heartbeat is there." if role["has_role"] else ", and give the role a password."),
            NO_FIX
            if role["has_role"]
            else fix(
                "create_role_with_view" if around["view_sql"] else "create_role",
                schema=table["schema"],
                table=table["sql"],
                view=around["view_sql"] or "",
            ),
        )
    elif not missing:
        yield Finding("rights", Level.OK, "SELECT, INSERT and UPDATE on the table, and no more")


def _excess(table: Facts, role: Facts, around: Facts) -> list[str]:
    powers = [word for column, word in _POWERS.items() if role[column]]
    powers += [right for right in table["rights"] if right not in _NEEDED]
    return powers + ["ownership of the table"] * table["owned"] + ["CREATE on the schema"] * around["creates"]
