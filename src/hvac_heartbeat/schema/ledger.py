"""Looks at what there is of the ledger of silence, and at what is in the way of the rest (docs/liveness.md).

The telling (docs/operations.md) is made together with it, and is part of it here. The ledger is an offer: heartbeats
are written without it. What is in its way is said, and is no failure; only what somebody else has by one of its names
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.rows import dict_row

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.schema.parts import FUNCTIONS, PARTS, TABLES, TELLING, TRIGGERS, TYPES, VIEWS, WRITERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Facts = Mapping[str, Any]

OLDEST: Final = 140_000
"""The first PostgreSQL with multiranges."""

# Everything is where device_state is, or where it will be.
_LOOK = """
SELECT current_setting('server_version_num')::int AS version,
       current_user AS role, quote_ident(current_user) AS role_sql,
       n.nspname AS schema, quote_ident(n.nspname) AS schema_sql,
       has_schema_privilege(n.oid, 'CREATE') AS may_create,
       array(SELECT asked FROM unnest(ARRAY['SELECT', 'UPDATE', 'TRIGGER']) AS asked
              WHERE NOT has_table_privilege(t.oid, asked)) AS lacking,
       (SELECT json_object_agg(relname, json_build_object(
                   'kind', relkind, 'owner', relowner::regrole::text, 'is_ours', pg_has_role(relowner, 'USAGE'),
                   'columns', array(SELECT attname FROM pg_attribute
                                     WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)))
          FROM (SELECT oid, relname, relkind::text, relowner, relnamespace FROM pg_class
                 UNION ALL -- a type without columns is in the way, too
                SELECT 0, typname, typtype::text, typowner, typnamespace FROM pg_type
                 WHERE typrelid = 0 AND typelem = 0) AS c
         WHERE relnamespace = n.oid AND relname = ANY (%(relations)s::text[])) AS relations,
       (SELECT json_object_agg(signature, json_build_object(
                   'result', replace(pg_get_function_result(oid), quote_ident(n.nspname) || '.', ''),
                   'owner', proowner::regrole::text, 'is_ours', pg_has_role(proowner, 'USAGE')))
          FROM (SELECT *, proname || '(' || replace(oidvectortypes(proargtypes), quote_ident(n.nspname) || '.', '')
                          || ')' AS signature FROM pg_proc) AS p
         WHERE pronamespace = n.oid AND signature = ANY (%(functions)s::text[])) AS functions,
       (SELECT json_object_agg(tgname, json_build_object(
                   'is_on', tgenabled IN ('O', 'A'), 'function', p.proname, 'beside', p.pronamespace = n.oid))
          FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid
         WHERE tgrelid = t.oid AND tgname = ANY (%(triggers)s::text[])) AS triggers
  FROM (SELECT to_regclass('device_state')::oid AS oid) AS t
  JOIN pg_namespace AS n ON n.oid = (SELECT relnamespace FROM pg_class WHERE oid = t.oid)
                         OR t.oid IS NULL AND n.nspname = current_schema()
"""


class SchemaError(HvacHeartbeatError):
    """The tables cannot be brought to the state the function needs; the message says what to do."""


@dataclass(frozen=True)
class Ledger:
    """What there is of the ledger, and what keeps the role from making the rest."""

    schema: str | None = None
    missing: tuple[str, ...] = PARTS
    disabled: tuple[str, ...] = ()
    """Triggers that somebody switched off."""
    obstacle: str = ""
    """Why the role cannot make what is missing; empty where it can."""
    grants: tuple[str, ...] = ()
    """The SQL that takes the obstacle away, where that is a matter of rights."""
    is_supported: bool = True
    """Whether the server is new enough."""

    @property
    def name(self) -> str:
        """What is missing, in words."""
        if self.is_new:
            return "the ledger of silence"
        if self.missing == TELLING:
            return "the telling beside the ledger of silence"
        return f"{', '.join(self.missing)} of the ledger of silence"

    @property
    def was_blind(self) -> bool:
        """Tell whether silences may have ended that are not in it, because something was missing that writes them."""
        return not self.is_new and not set(WRITERS).isdisjoint(self.missing)

    @property
    def is_new(self) -> bool:
        """Tell whether nothing of it is there yet."""
        return self.missing == PARTS

    @property
    def is_to_be_made(self) -> bool:
        """Tell whether something is missing that the role can make."""
        return bool(self.missing) and not self.obstacle


def look(connection: psycopg.Connection[Any]) -> Ledger:
    """Find out what there is of the ledger, through the role's search_path, taking no lock and writing nothing.

    Raises:
        SchemaError: when somebody else has something by the name of one of its parts.
    """
    names = {"relations": [*TABLES, *VIEWS, *TYPES], "functions": [*FUNCTIONS], "triggers": [*TRIGGERS]}
    with psycopg.Cursor(connection, row_factory=dict_row) as cursor:
        found = cursor.execute(_LOOK, names).fetchone()
    if found is None:
        return Ledger(obstacle="no schema on the search_path exists")
    if found["version"] < OLDEST:
        version = found["version"] // 10_000
        obstacle = f"it needs PostgreSQL {OLDEST // 10_000}, and this is {version}"
        return Ledger(found["schema"], obstacle=obstacle, is_supported=False)
    relations, functions, triggers = (found[kind] or {} for kind in ("relations", "functions", "triggers"))
    foreign = [*_foreign_relations(relations), *_foreign_functions(functions), *_foreign_triggers(triggers)]
    if foreign:
        raise SchemaError(
            f"Schema {found['schema']} has a {foreign[0]}. The ledger of silence needs that name: rename it, "
            "or keep device_state in another schema. Nothing was changed."
        )
    present = {*relations, *functions, *(f"trigger {name}" for name in triggers)}
    missing = tuple(part for part in PARTS if part not in present)
    obstacle, grants = _obstacle(found, [*relations.values(), *functions.values()]) if missing else ("", ())
    return Ledger(
        schema=found["schema"],
        missing=missing,
        disabled=tuple(name for name in TRIGGERS if name in triggers and not triggers[name]["is_on"]),
        obstacle=obstacle,
        grants=grants,
    )


def _foreign_relations(found: Facts) -> Iterator[str]:
    for names, kinds, word in ((TABLES, "rp", "table"), (VIEWS, "v", "view"), (TYPES, "c", "type")):
        for name in names:
            if name not in found:
                continue
            if found[name]["kind"] not in kinds:
                yield f"{name} that is not a {word} of ours"
            lacking = [column for column in names[name] if column not in found[name]["columns"]]
            if lacking:
                yield f"{word} {name} that is not ours: it is without {', '.join(lacking)}"


def _foreign_functions(found: Facts) -> Iterator[str]:
    for signature, result in FUNCTIONS.items():
        if signature in found and not str(found[signature]["result"]).startswith(result):
            yield f"function {signature} that is not ours: it returns {found[signature]['result']}"


def _foreign_triggers(found: Facts) -> Iterator[str]:
    for name, trigger in found.items():
        if trigger["function"] != "note_silence" or not trigger["beside"]:
            yield f"trigger {name} on device_state that is not ours: it runs {trigger['function']}"


def _obstacle(found: Facts, parts: list[Facts]) -> tuple[str, tuple[str, ...]]:
    owners = sorted({part["owner"] for part in parts if not part["is_ours"]})
    if owners:
        return f"only role {' or '.join(owners)}, who owns the rest of it, can make what is missing", ()
    grants = []
    if not found["may_create"]:
        grants.append(f"GRANT CREATE ON SCHEMA {found['schema_sql']} TO {found['role_sql']};")
    if found["lacking"]:
        rights, table = ", ".join(found["lacking"]), f"{found['schema_sql']}.device_state"
        grants.append(f"GRANT {rights} ON {table} TO {found['role_sql']};")
    return (f"role {found['role']} may not", tuple(grants)) if grants else ("", ())
