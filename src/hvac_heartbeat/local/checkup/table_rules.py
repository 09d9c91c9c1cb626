"""What the facts about the table mean for the function: one generator for each thing that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.tuning import missing, statement_to_tune
from hvac_heartbeat.local.checkup.tuning import storage as settings_of
from hvac_heartbeat.store.queries import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Facts = Mapping[str, Any]

_BRIN_SINCE = 160_000
_TEXT, _WHOLE, _DECIMAL = ("text", "varchar", "bpchar", "citext"), ("int4", "int8"), ("float8", "numeric")
_TYPES: Final = {
    "device_id": _TEXT,
    "site_id": _TEXT,
    "last_seen_ts": ("timestamptz",),
    "last_upload_ts": ("timestamptz",),
    "queue_depth": _WHOLE,
    "agent_version": _TEXT,
    "poll_interval_s": _WHOLE,
    "cpu_pct": _DECIMAL,
    "disk_free_gb": _DECIMAL,
    "status": _TEXT,
    "updated_at": ("timestamptz",),
}
# What a new column needs besides its type. A row that is there already was never seen, and gets no recent time.
_ADDED_WITH: Final = {
    "site_id": " NOT NULL DEFAULT 'unknown'",
    "last_seen_ts": " NOT NULL DEFAULT 'epoch'",
    "status": " CHECK (status IN ('ready', 'degraded', 'error'))",
    "updated_at": " DEFAULT now()",
}
_ALWAYS_CHANGES: Final = {"last_seen_ts", "updated_at"}
_NEEDED: Final = ("SELECT", "INSERT", "UPDATE")
_POWERS: Final = {
    "rolsuper": "superuser",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolbypassrls": "BYPASSRLS",
    "rolreplication": "REPLICATION",
}


def relation(facts: Facts) -> Iterator[Finding]:
    """Say what kind of table it is, and what stands between a heartbeat and its row."""
    name, kind = facts["name"], {"r": "a table", "p": "a partitioned table"}.get(facts["kind"])
    if kind is None:
        yield Finding("table", Level.WRONG, f"{name} is not a table", "The function upserts into a table only.")
    elif not facts["has_key"]:
        yield Finding(
            "table",
            Level.WRONG,
            f"{name} has no unique index on device_id alone",
            "ON CONFLICT (device_id) needs one; a partitioned table or hypertable cannot have it "
            "unless device_id is what divides it.",
            f"ALTER TABLE {name} ADD PRIMARY KEY (device_id)",
        )
    else:
        yield Finding("table", Level.OK, f"{name}, {kind} with a unique key on device_id")
    if facts["row_security"]:
        yield Finding(
            "table",
            Level.WARNING,
            "row-level security applies to the role",
            "Rows that its policies hide are refused or missed; give the role a policy that shows all.",
            f"CREATE POLICY hvac_heartbeat ON {name} USING (true) WITH CHECK (true)",
        )
    if facts["before_triggers"]:
        yield Finding(
            "table",
            Level.WARNING,
            f"BEFORE triggers: {', '.join(facts['before_triggers'])}",
            "They may change or swallow rows; a swallowed heartbeat is reported as outdated.",
        )
    if facts["rules"]:
        yield Finding(
            "table",
            Level.WRONG,
            f"rules: {', '.join(facts['rules'])}",
            "PostgreSQL has no ON CONFLICT on a table with rules: replace them with triggers.",
            f"DROP RULE {quoted(facts['rules'][0])} ON {name}",
        )


def columns(found: Sequence[Facts]) -> Iterator[Finding]:
    """Compare the columns with what the function writes."""
    types = {column["name"]: column["type"] for column in found}
    lacking = [name for name in _TYPES if name not in types]
    if lacking:
        yield Finding(
            "columns",
            Level.WRONG,
            f"missing: {', '.join(lacking)}",
            "The function writes them all.",
            "ALTER TABLE device_state "
            + ", ".join(f"ADD {name} {_TYPES[name][0]}{_ADDED_WITH.get(name, '')}" for name in lacking),
        )
    odd = [name for name, expected in _TYPES.items() if name in types and types[name] not in expected]
    for name in odd:
        yield Finding(
            "columns",
            Level.WRONG,
            f"{name} is of type {types[name]}, not {_TYPES[name][0]}",
            "Values may be refused or cut; the change rewrites the table.",
            f"ALTER TABLE device_state ALTER {name} TYPE {_TYPES[name][0]}",
        )
    demanded = [column["name"] for column in found if column["demanded"] and column["name"] not in _TYPES]
    for name in demanded:
        yield Finding(
            "columns",
            Level.WRONG,
            f"{name} is NOT NULL without a default",
            "No new device can be written, because the function does not know this column.",
            f"ALTER TABLE device_state ALTER {quoted(name)} DROP NOT NULL",
        )
    if not (lacking or odd or demanded):
        extra = len(types) - len(_TYPES)
        yield Finding("columns", Level.OK, f"all {len(_TYPES)} are there" + (f", and {extra} more" if extra else ""))


def rights(facts: Facts, role: Facts, around: Facts) -> Iterator[Finding]:
    """Compare the role's rights with the least that the function needs."""
    name, who = facts["name"], quoted(role["role"])
    lacking = [right for right in _NEEDED if right not in facts["rights"]]
    if lacking:
        yield Finding(
            "rights",
            Level.WRONG,
            f"the role lacks {', '.join(lacking)} on {name}",
            "Grant it.",
            f"GRANT {', '.join(lacking)} ON {name} TO {who}",
        )
    if around["reads_view"] is None:
        yield Finding(
            "rights",
            Level.WARNING,
            "v_devices_stale is not there",
            "The sweep needs it: run `hvac-heartbeat migrate`.",
        )
    elif not around["reads_view"]:
        yield Finding(
            "rights",
            Level.WARNING,
            "the role cannot read v_devices_stale",
            "The sweep needs it.",
            f"GRANT SELECT ON v_devices_stale TO {who}",
        )
    powers = [word for column, word in _POWERS.items() if role[column]]
    excess = powers + [right for right in facts["rights"] if right not in _NEEDED]
    excess += ["ownership of the table"] * facts["owned"] + ["CREATE on the schema"] * around["creates"]
    if excess:
        yield Finding(
            "rights",
            Level.WARNING,
            f"more than needed: {', '.join(excess)}",
            "Give the function a role of its own that may do nothing else (docs/database.md).",
            "CREATE ROLE hvac_heartbeat LOGIN PASSWORD 'a long one of your own'; "
            f"GRANT {', '.join(_NEEDED)} ON {name} TO hvac_heartbeat"
            + ("" if around["reads_view"] is None else "; GRANT SELECT ON v_devices_stale TO hvac_heartbeat"),
        )
    elif not lacking:
        yield Finding("rights", Level.OK, "SELECT, INSERT and UPDATE on the table, and no more")


def foreign_keys(keys: Sequence[Facts]) -> Iterator[Finding]:
    """Say what each foreign key means for heartbeats that it does not know."""
    if not keys:
        yield Finding("foreign keys", Level.OK, "none: an unknown device or site is taken")
    for key in keys:
        columns = ", ".join(key["columns"])
        found = f"{key['constraint']}: a heartbeat whose {columns} is not in {key['parent']} is rejected"
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
        yield Finding(
            "indexes",
            Level.WARNING,
            f"{index['name']} holds {names}, which every heartbeat changes",
            "No update can be HOT: each one writes every index (twice the log volume, half the speed). "
            "Drop it if nobody needs it: the table is small enough to be scanned.",
            f"DROP INDEX CONCURRENTLY {index['name']}",
        )
    if not costly:
        yield Finding("indexes", Level.OK, f"{len(found)}, none of them in the way of HOT updates")


def storage(facts: Facts, *, autovacuum: bool) -> Iterator[Finding]:
    """Look at the room beside each row and at how often a vacuum comes."""
    options = settings_of(facts["options"])
    lacking = missing(options)
    shown = f"fillfactor {options.get('fillfactor', '100')}"
    if not autovacuum or options.get("autovacuum_enabled") in {"false", "off"}:
        yield Finding(
            "storage",
            Level.WRONG,
            "autovacuum is off",
            "The table grows without end.",
            f"ALTER TABLE {facts['name']} SET (autovacuum_enabled = true)",
        )
    if "fillfactor" in lacking or "autovacuum_vacuum_scale_factor" in lacking:
        yield Finding(
            "storage",
            Level.WARNING,
            f"{shown}; lacking {', '.join(lacking)}",
            "Run `hvac-heartbeat tune` as the table's owner.",
            statement_to_tune(facts["name"], facts["options"]) or "",
        )
    else:
        yield Finding("storage", Level.OK, f"{shown}, and a vacuum that comes often")
