"""Looks at what a database has, and runs Alembic only for what it lacks.

A database in the field was made by somebody else's migrations, and our role there owns nothing.
So the decision is taken before Alembic is asked: docs/decisions/0007-adopting-a-schema.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from hvac_heartbeat.schema import ledger, revisions
from hvac_heartbeat.schema.ledger import SchemaError
from hvac_heartbeat.schema.revisions import BASE, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection

    from hvac_heartbeat.schema.ledger import Ledger

OBJECTS = ("device_state", "v_devices_stale")
# What each may be (pg_class.relkind), in words, and what the function needs of it.
_KINDS = {"device_state": ("rp", "a table"), "v_devices_stale": ("vmrpf", "a view")}
_COLUMNS = {
    "device_state": (
        *("device_id", "site_id", "last_seen_ts", "last_upload_ts", "queue_depth", "agent_version"),
        *("poll_interval_s", "cpu_pct", "disk_free_gb", "status", "updated_at"),
    ),
    "v_devices_stale": ("device_id", "site_id", "last_seen_ts", "age"),
}

# to_regclass follows the role's search_path and asks for no right on what it finds
# (PostgreSQL manual, System Information Functions).
_LOOK = f"""
SELECT current_user AS role,
       current_schema() AS schema,
       (SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name) AS path,
       (SELECT json_object_agg(relname, json_build_array(relkind, (
                   SELECT json_agg(attname) FROM pg_attribute
                   WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped)))
        FROM pg_class WHERE oid = ANY (SELECT to_regclass(name) FROM unnest(%(objects)s::text[]) AS name)) AS present,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
       to_regclass('{VERSION_TABLE}') IS NOT NULL AS has_versions,
       coalesce(has_table_privilege(to_regclass('{VERSION_TABLE}'), 'SELECT'), false) AS may_read,
       coalesce(has_table_privilege(to_regclass('{VERSION_TABLE}'), 'INSERT, UPDATE'), false) AS may_write
"""  # noqa: S608 - a constant of ours


class Outcome(StrEnum):
    """What `migrate` did about the table and the view."""

    CURRENT = "current"
    """Both are there and recorded."""
    ADOPTED = "adopted"
    """Both were there; only that was recorded."""
    ADOPTED_UNRECORDED = "adopted, unrecorded"
    """Both were there, and the role may not record it; nothing is lost."""
    CREATED = "created"
    """What was missing was created, and recorded."""


@dataclass(frozen=True)
class Plan:
    """What a database has, what it lacks, and what `migrate` would therefore do."""

    role: str
    schema: str | None
    path: str
    present: tuple[str, ...]
    missing: tuple[str, ...]
    recorded: str | None
    may_create: bool
    may_record: bool
    ledger: Ledger

    @property
    def to_create(self) -> tuple[str, ...]:
        """What `migrate` will create, in words."""
        if not self.ledger.is_to_be_made:
            return self.missing
        elsewhere = (
            f", which is in schema {self.ledger.schema}" if self.missing and self.ledger.schema != self.schema else ""
        )
        return (*self.missing, self.ledger.name + elsewhere)

    @property
    def target(self) -> str:
        """The revision that the database will be at."""
        return BASE if self.ledger.obstacle else revisions.known()[0]

    @property
    def outcome(self) -> Outcome:
        """What `migrate` will do about the table and the view; raises SchemaError where it cannot."""
        if not self.missing:
            if self.recorded:
                return Outcome.CURRENT
            return Outcome.ADOPTED if self.may_record else Outcome.ADOPTED_UNRECORDED
        names = " and ".join(self.missing)
        are, them = ("is", "it") if len(self.missing) == 1 else ("are", "them")
        if self.schema is None:
            raise SchemaError(
                f"No schema on the search_path of role {self.role} exists, so there is no place for {names}: "
                f"create one, or ALTER ROLE {self.role} SET search_path."
            )
        if self.recorded:
            raise SchemaError(
                f"{names} {are} missing although {VERSION_TABLE} says otherwise: somebody dropped {them}. "
                f"Run what `hvac-heartbeat migrate --sql` prints, which creates {them} and nothing else."
            )
        if not (self.may_create and self.may_record):
            raise SchemaError(
                f"{names} {are} missing, and role {self.role} may not create {them} in schema {self.schema}: "
                "have the schema's owner run `hvac-heartbeat migrate`, or the SQL that `--sql` prints."
            )
        return Outcome.CREATED


def look(connection: psycopg.Connection[Any]) -> Plan:
    """Find out what is there, through the role's search_path, taking no lock and writing nothing.

    Raises:
        SchemaError: when what is there cannot be adopted.
    """
    with psycopg.Cursor(connection, row_factory=dict_row) as cursor:
        found = cursor.execute(_LOOK, {"objects": list(OBJECTS)}).fetchone() or {}
        recorded = None
        if found["may_read"]:
            row = cursor.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
            recorded = row["version_num"] if row else None
    present = found["present"] or {}
    for name, (kind, columns) in present.items():
        _check_fit(name, kind, columns or ())
    if recorded and recorded not in revisions.known():
        raise SchemaError(
            f"{VERSION_TABLE} says {recorded}, which this version of hvac-heartbeat does not know (its newest is "
            f"{revisions.known()[0]}): run the version that wrote it, or a newer one."
        )
    return Plan(
        role=found["role"],
        schema=found["schema"],
        path=found["path"] or "",
        present=tuple(name for name in OBJECTS if name in present),
        missing=tuple(name for name in OBJECTS if name not in present),
        recorded=recorded,
        may_create=found["may_create"],
        may_record=found["may_read"] and found["may_write"] if found["has_versions"] else found["may_create"],
        ledger=ledger.look(connection),
    )


def _check_fit(name: str, kind: str, columns: Collection[str]) -> None:
    kinds, wanted = _KINDS[name]
    if kind not in kinds:
        raise SchemaError(
            f"There is a {name} already that is not {wanted}: rename it, or name another schema first in "
            "the role's search_path."
        )
    lacking = [column for column in _COLUMNS[name] if column not in columns]
    if lacking:
        raise SchemaError(
            f"{name} is there, without {', '.join(lacking)}: give it what it lacks, or rename it; "
            "`hvac-heartbeat migrate --sql` without DB_HOST prints how both are made."
        )
