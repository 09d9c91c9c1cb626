"""A statement per batch, in the two ways that come to mind first."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.dialects.postgresql import insert

from benchmarks.peers import COLUMNS, INSERT, ON_CONFLICT, OPTIONAL, bodies, values

# The protocol counts a statement's parameters in 16 bits.
ROWS_PER_STATEMENT = 65_535 // len(COLUMNS)


class MultiRowValues:
    """One VALUES list as long as the batch, a parameter for each field."""

    name = "multi-row VALUES"
    reconnects = False

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, prepare_threshold=None)

    def write(self, event: dict[str, Any]) -> None:
        """Write the heartbeats in one transaction, in as few statements as the protocol allows."""
        rows = bodies(event)
        one = f"({', '.join(['%s'] * len(COLUMNS))}, now(), now())"
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            part = rows[start : start + ROWS_PER_STATEMENT]
            statement = f"{INSERT} VALUES {', '.join([one] * len(part))} {ON_CONFLICT}"
            self._connection.execute(statement.encode(), [value for body in part for value in values(body)])
        self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqlAlchemyCore:
    """SQLAlchemy's insert().on_conflict_do_update(), which gathers rows into VALUES lists by itself."""

    name = "SQLAlchemy Core"
    reconnects = False

    def __init__(self, conninfo: str) -> None:
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo, prepare_threshold=None)
        )
        moment = sqlalchemy.DateTime(timezone=True)
        kinds: dict[str, Any] = dict.fromkeys(COLUMNS, sqlalchemy.Text) | {"last_upload_ts": moment}
        kinds |= dict.fromkeys(("cpu_pct", "disk_free_gb"), sqlalchemy.Float)
        kinds |= dict.fromkeys(("queue_depth", "poll_interval_s"), sqlalchemy.Integer)
        columns = [sqlalchemy.Column(name, kinds[name], primary_key=name == "device_id") for name in COLUMNS]
        clocks = [sqlalchemy.Column(name, moment) for name in ("last_seen_ts", "updated_at")]
        table = sqlalchemy.Table("device_state", sqlalchemy.MetaData(), *columns, *clocks)
        now = sqlalchemy.func.now()
        upsert = insert(table).values({name: sqlalchemy.bindparam(name) for name in COLUMNS})
        upsert = upsert.values(last_seen_ts=now, updated_at=now)
        new = upsert.excluded
        kept = {name: sqlalchemy.func.coalesce(new[name], table.c[name]) for name in OPTIONAL}
        followed = {name: new[name] for name in ("site_id", "last_seen_ts", "updated_at")}
        self._upsert = upsert.on_conflict_do_update(
            index_elements=["device_id"],
            set_=followed | kept,
            where=new.last_seen_ts >= table.c.last_seen_ts,
        )

    def write(self, event: dict[str, Any]) -> None:
        """Write the heartbeats in one transaction."""
        with self._engine.begin() as connection:
            connection.execute(self._upsert, [{name: body.get(name) for name in COLUMNS} for body in bodies(event)])

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
