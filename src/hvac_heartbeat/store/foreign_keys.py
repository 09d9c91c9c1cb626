"""The foreign keys that somebody else's migrations gave `device_state`, and how to foresee their refusals in SQL.

Asking for the parents beforehand costs a batch with strangers in it far less than being refused: docs/decisions/0012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hvac_heartbeat.store.database import Database

# The columns that every heartbeat fills, so that what is written is what the heartbeat says.
FORESEEABLE: Final = frozenset({"device_id", "site_id"})
_MOST = 8  # the statement stays under 16 KB, past which RDS Proxy pins


class ForeignKey(msgspec.Struct, frozen=True):
    """One foreign key of `device_state`. `columns` and `keys` correspond; `readable`: the role sees each key."""

    constraint: str
    columns: tuple[str, ...]
    schema: str
    table: str
    keys: tuple[str, ...]
    alone: bool  # the parent is a plain table, whose descendants the constraint does not look at
    readable: bool

    @property
    def foreseeable(self) -> bool:
        """Whether the statement can ask for the parent beforehand."""
        return self.readable and FORESEEABLE.issuperset(self.columns)

    @property
    def complaint(self) -> tuple[str, str]:
        """The field and the reason of a heartbeat that this key refuses."""
        return complaint(self.constraint, self.columns)

    def refusal(self, name: str, keys: str) -> str:
        """Return an SQL expression on the row `heartbeat` of `keys`: `name` where this key would refuse it."""
        pairs = [(quoted(key), quoted(column)) for key, column in zip(self.keys, self.columns, strict=True)]
        return queries()["missing_parent"].format(
            name=name,
            keys=keys,
            columns=", ".join(f"heartbeat.{column}" for _, column in pairs),
            distinct="" if "device_id" in self.columns else "DISTINCT",  # a device is in a batch once
            parent=f"{'ONLY ' if self.alone else ''}{quoted(self.schema)}.{quoted(self.table)}",
            match=" AND ".join(f"parent.{key} = heartbeat.{column}" for key, column in pairs),
            unchanged=" AND ".join(f"known.{column} = heartbeat.{column}" for _, column in pairs),
        )


def complaint(constraint: str, columns: Iterable[str] = ()) -> tuple[str, str]:
    """Return the field and the reason of a heartbeat that a constraint refuses."""
    named = tuple(columns)
    return named[0] if len(named) == 1 else "heartbeat", f"violates the database's constraint {constraint}"


def foreign_keys(database: Database, deadline: float) -> tuple[ForeignKey, ...]:
    """Read the foreign keys of `device_state` from the catalogue, which every role may read.

    Raises:
        StoreUnavailable: when the catalogue cannot be read.
    """
    rows = database.run(queries()["foreign_keys"], deadline)
    return tuple(key_of(row) for row in rows[:_MOST])


def key_of(row: tuple[Any, ...]) -> ForeignKey:
    """Read one row of the query `foreign_keys`."""
    constraint, columns, schema, table, keys, alone, readable = row
    return ForeignKey(constraint, tuple(columns), schema, table, tuple(keys), alone, readable)


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
