"""What the table itself means for the function: its key, its triggers, its indexes, the room beside each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.fixes import NO_FIX, fix
from hvac_heartbeat.local.checkup.tuning import missing, statement_to_tune
from hvac_heartbeat.local.checkup.tuning import storage as settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Facts = Mapping[str, Any]

_BRIN_SINCE = 160_000
_ALWAYS_CHANGES: Final = {"last_seen_ts", "updated_at"}


def relation(table: Facts, role: str) -> Iterator[Finding]:
    """Say what kind of table it is, and what stands between a heartbeat and its row; `role` is its name in SQL."""
    name, kind = table["name"], {"r": "a table", "p": "a partitioned table"}.get(table["kind"])
    if kind is None:
        yield Finding("table", Level.WRONG, f"{name} is not a table", "The function upserts into a table only.")
    elif not table["has_key"]:
        yield Finding(
            "table",
            Level.WRONG,
            f"{name} has no unique index on device_id alone",
            "ON CONFLICT (device_id) needs one; a partitioned table or hypertable cannot have it "
            "unless device_id is what divides it.",
            fix("add_key", table=table["sql"]) if table["kind"] == "r" else NO_FIX,
        )
    else:
        yield Finding("table", Level.OK, f"{name}, {kind} with a unique key on device_id")
    if table["row_security"]:
        yield Finding(
            "table",
            Level.WARNING,
            "row-level security applies to the role",
            "Rows that its policies hide are refused or missed: give the role a policy that shows it all rows.",
            fix("show_rows", table=table["sql"], role=role),
        )
    if table["before_triggers"]:
        yield Finding(
            "table",
            Level.NOTE,
            f"BEFORE triggers: {', '.join(table['before_triggers'])}",
            "They may change a heartbeat or drop it; the function reports a dropped one as outdated.",
        )
    if table["rules"]:
        yield Finding(
            "table",
            Level.WRONG,
            f"rules: {', '.join(table['rules'])}",
            "PostgreSQL has no ON CONFLICT on a table with rules: replace them with triggers.",
        )


def foreign_keys(constraints: Sequence[Facts]) -> Iterator[Finding]:
    """Say which heartbeats each foreign key rejects."""
    keys = [constraint for constraint in constraints if constraint["kind"] == "f"]
    if not keys:
        yield Finding("foreign keys", Level.OK, "none: the database takes an unknown device or site")
    for key in keys:
        columns = ", ".join(key["columns"])
        found = f"{key['name']}: the database rejects a heartbeat whose {columns} is not in {key['parent']}"
        yield Finding("foreign keys", Level.OK, found)


def indexes(found: Sequence[Facts], version: int) -> Iterator[Finding]:
    """Point out indexes that make every heartbeat write every index (no HOT update)."""
    costly = [
        index
        for index in found
        if _ALWAYS_CHANGES.intersection(index["columns"]) and not (index["method"] == "brin" and version >= _BRIN_SINCE)
    ]
    for index in costly:
        names = ", ".join(sorted(_ALWAYS_CHANGES.intersection(index["columns"])))
        used = f"Queries have used it {index['scans']} times" if index["scans"] else "No query here has used it"
        yield Finding(
            "indexes",
            Level.WARNING,
            f"{index['name']} holds {names}, which every heartbeat changes",
            "No update can be HOT: each one writes every index (twice the log volume, half the speed). "
            f"{used}; drop it if nobody needs it: the table is small enough to be scanned.",
            NO_FIX if index["matters"] or index["scans"] else fix("drop_index", index=index["sql"]),
        )
    if not costly:
        yield Finding("indexes", Level.OK, f"{len(found)}, none of them in the way of HOT updates")


def storage(table: Facts, *, autovacuum: bool) -> Iterator[Finding]:
    """Look at the room beside each row and at how often a vacuum comes."""
    options = settings_of(table["options"])
    lacking = missing(options)
    shown = f"fillfactor {options.get('fillfactor', '100')}"
    if not autovacuum:
        yield Finding(
            "storage",
            Level.WRONG,
            "autovacuum is off on the server",
            "The table grows without end: turn autovacuum and track_counts on.",
        )
    if options.get("autovacuum_enabled") in {"false", "off"}:
        yield Finding(
            "storage",
            Level.WRONG,
            "autovacuum is off for the table",
            "The table grows without end.",
            fix("vacuum", table=table["sql"]),
        )
    if "fillfactor" in lacking or "autovacuum_vacuum_scale_factor" in lacking:
        yield Finding(
            "storage",
            Level.WARNING,
            f"{shown}; lacking {', '.join(lacking)}",
            "Run `hvac-heartbeat tune` as the table's owner.",
            (statement_to_tune(table["sql"], table["options"]) or NO_FIX) if table["kind"] == "r" else NO_FIX,
        )
    else:
        yield Finding("storage", Level.OK, f"{shown}, and a vacuum that comes often")
