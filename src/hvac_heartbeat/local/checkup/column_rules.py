"""What the table's columns and their CHECKs mean for the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.fixes import NO_FIX, fix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Facts = Mapping[str, Any]


class _Kind(NamedTuple):
    """What a column may be: types that hold every value, those that hold some, and the one to change to."""

    wide: frozenset[str]
    narrow: frozenset[str]
    type: str


_TEXT = _Kind(frozenset({"text", "varchar", "citext"}), frozenset({"bpchar"}), "text")
_TIME = _Kind(frozenset({"timestamptz"}), frozenset(), "timestamptz")
_WHOLE = _Kind(frozenset({"int4", "int8", "numeric", "float8"}), frozenset({"int2"}), "integer")
_DECIMAL = _Kind(frozenset({"float8", "numeric"}), frozenset({"float4", "int2", "int4", "int8"}), "double precision")
_KINDS: Final = {
    "device_id": _TEXT,
    "site_id": _TEXT,
    "last_seen_ts": _TIME,
    "last_upload_ts": _TIME,
    "queue_depth": _WHOLE,
    "agent_version": _TEXT,
    "poll_interval_s": _WHOLE,
    "cpu_pct": _DECIMAL,
    "disk_free_gb": _DECIMAL,
    "status": _TEXT,
    "updated_at": _TIME,
}
_ALWAYS_WRITTEN: Final = {"device_id", "site_id", "last_seen_ts", "updated_at"}
_STATUSES: Final = ("ready", "degraded", "error")
_LONGEST: Final = {"device_id": 256, "site_id": 256, "agent_version": 128, "status": max(map(len, _STATUSES))}
# What a new column needs besides its type. A row that is there already was never seen, and gets no recent time.
_ADDED_WITH: Final = {
    "site_id": " NOT NULL DEFAULT 'unknown'",
    "last_seen_ts": " NOT NULL DEFAULT 'epoch'",
    "status": " CHECK (status IN ('ready', 'degraded', 'error'))",
    "updated_at": " DEFAULT now()",
}


def columns(found: Sequence[Facts], table: str) -> Iterator[Finding]:
    """Compare the columns with what the function writes; `table` is its name in SQL."""
    findings = [*_missing({column["name"] for column in found}, table)]
    for column in found:
        findings += [*_type(column, table), *_not_null(column, table)]
    if all(finding.level is Level.NOTE for finding in findings):
        extra = len(found) - len(_KINDS)
        yield Finding("columns", Level.OK, f"all {len(_KINDS)} are there" + (f", and {extra} more" if extra else ""))
    yield from findings


def checks(constraints: Sequence[Facts]) -> Iterator[Finding]:
    """Name the CHECKs that may refuse what the function takes."""
    for check in constraints:
        ours = [name for name in check["columns"] if name in _KINDS]
        allows_each_status = ours == ["status"] and all(f"'{status}'" in check["definition"] for status in _STATUSES)
        if check["kind"] != "c" or not ours or allows_each_status:
            continue
        identity = _ALWAYS_WRITTEN.intersection(ours)
        yield Finding(
            "columns",
            Level.NOTE,
            f"{check['name']}: {check['definition']}",
            "The database rejects a heartbeat that breaks it."
            if identity
            else "A heartbeat that breaks it is written without its optional fields.",
        )


def _missing(names: set[str], table: str) -> Iterator[Finding]:
    missing = [name for name in _KINDS if name not in names]
    if "device_id" in missing:
        yield Finding(
            "columns",
            Level.WRONG,
            "device_id is missing",
            f"{table} is not a table of devices: lead the role's search_path to the one that is.",
        )
    elif missing:
        added = ", ".join(f"ADD {name} {_KINDS[name].type}{_ADDED_WITH.get(name, '')}" for name in missing)
        yield Finding(
            "columns",
            Level.WRONG,
            f"missing: {', '.join(missing)}",
            "The function writes all of them.",
            fix("add_columns", table=table, columns=added),
        )


def _type(column: Facts, table: str) -> Iterator[Finding]:
    name, kind = column["name"], _KINDS.get(column["name"])
    if kind is None:
        return
    is_narrow = column["type"] in kind.narrow or column["bounded"] or (column["length"] or 256) < _LONGEST.get(name, 0)
    if is_narrow:
        lost = "is rejected" if name in _ALWAYS_WRITTEN else "is written without its optional fields"
        yield Finding(
            "columns",
            Level.WARNING,
            f"{name} is {column['shown']}, narrower than {kind.type}",
            f"A heartbeat whose value does not fit {lost}. {_how_to_widen(column)}",
            NO_FIX if column["is_viewed"] else fix("widen", table=table, column=column["sql"], type=kind.type),
        )
    elif column["type"] not in kind.wide:
        # A time zone or a rounding would have to be guessed, but everything has a text.
        fixable = kind is _TEXT and not column["is_viewed"]
        yield Finding(
            "columns",
            Level.WRONG,
            f"{name} is {column['shown']}, not {kind.type}",
            "The database may refuse every heartbeat. "
            + (
                _how_to_widen(column)
                if kind is _TEXT
                else f"Change the type to {kind.type}, after a look at the values."
            ),
            fix("widen", table=table, column=column["sql"], type=kind.type) if fixable else NO_FIX,
        )
    if name == "device_id" and (column["type"] == "citext" or column["folds"]):
        why = "citext" if column["type"] == "citext" else "its collation is not deterministic"
        yield Finding(
            "columns",
            Level.NOTE,
            f"device_id takes different spellings for one device ({why})",
            "DEV-1 and dev-1 may be one device to the database.",
        )


def _not_null(column: Facts, table: str) -> Iterator[Finding]:
    name = column["name"]
    if not column["not_null"] or name in _ALWAYS_WRITTEN or (name not in _KINDS and column["has_default"]):
        return
    if name in _KINDS:
        found, advice = f"{name} is NOT NULL", "A heartbeat that does not say it is rejected."
    else:
        found = f"{name} is NOT NULL without a default"
        advice = (
            "No heartbeat can be written, of a known device neither: the function does not write this column, "
            "and PostgreSQL looks at NOT NULL before ON CONFLICT. Give it a default, or allow NULL."
        )
    allowed = NO_FIX if column["is_key"] else fix("allow_null", table=table, column=column["sql"])
    yield Finding("columns", Level.WRONG, found, advice, allowed)


def _how_to_widen(column: Facts) -> str:
    if column["is_viewed"]:
        return "A view uses the column: drop the view, change the type, create the view and its grants again."
    return "Changing the type locks the table, and may rewrite it."
