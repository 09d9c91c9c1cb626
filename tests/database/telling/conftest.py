"""A fleet with a clock of its own: `now()` is what a test says, in the ledger, in the sweep and in the heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row

from hvac_heartbeat.schema.migrations.versions import r0002_ledger, r0003_telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from tests.conftest import Database

START = datetime(2026, 10, 6, 2, 0, tzinfo=UTC)

# A session's clock: what stands in its setting clock.now.
_CLOCK = """
CREATE SCHEMA clock;
CREATE FUNCTION clock.now() RETURNS timestamptz STABLE PARALLEL SAFE LANGUAGE sql
RETURN current_setting('clock.now')::timestamptz;
"""
_PATH = "public, clock, pg_catalog, pg_temp"
_BEAT = """
INSERT INTO device_state AS stored (device_id, site_id, last_seen_ts, updated_at)
SELECT device_id, site_id, least(arrived, now()), now()
  FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS beat (device_id, site_id, arrived)
    ON CONFLICT (device_id) DO UPDATE
   SET site_id = excluded.site_id, last_seen_ts = excluded.last_seen_ts, updated_at = excluded.updated_at
 WHERE excluded.last_seen_ts >= stored.last_seen_ts
"""


@dataclass
class Fleet:
    """Sends heartbeats, turns the clock and sweeps."""

    connection: psycopg.Connection
    database: Database
    now: datetime = START

    def __post_init__(self) -> None:
        self.connection.execute(f"SET search_path = {_PATH}".encode())
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """Turn the clock on."""
        self.now += timedelta(seconds=seconds)
        self.connection.execute("SELECT set_config('clock.now', %s, false)", [self.now.isoformat()])

    def beat(self, *devices: str, ago: float = 0) -> None:
        """Write a heartbeat of each "site/device", which arrived some seconds ago."""
        arrived = self.now - timedelta(seconds=ago)
        sites = [device.partition("/")[0] for device in devices]
        self.connection.execute(_BEAT, [list(devices), sites, [arrived] * len(devices)])

    def live(
        self, seconds: float, *devices: str, silent: Iterable[str] = (), sweeps: bool = True
    ) -> list[dict[str, Any]]:
        """Let time go by in steps of 30 seconds: everybody beats but the silent ones, and each minute it is swept."""
        heard = [device for device in devices if device not in set(silent)]
        told = []
        for step in range(1, int(seconds / 30) + 1):
            self.wait(30)
            if heard:
                self.beat(*heard)
            if sweeps and step % 2 == 0:
                told += self.sweep()
        return told

    def another(self) -> psycopg.Connection:
        """Open a second connection, whose clock stands where ours does."""
        connection = self.database.connect()
        connection.execute(f"SET search_path = {_PATH}".encode())
        connection.execute("SELECT set_config('clock.now', %s, false)", [self.now.isoformat()])
        return connection

    def sweep(self, unreachable_for: float | None = None, canary: str | None = None) -> list[dict[str, Any]]:
        """Sweep, and return the bodies of the messages that were written."""
        newest = self.one("SELECT coalesce(max(id), 0) FROM silence_message")
        since = None if unreachable_for is None else f"[{self.now - timedelta(seconds=unreachable_for)},{self.now}]"
        self.last = self.rows("SELECT * FROM sweep(%s::tstzrange, %s)", since, canary)[0]
        bodies = self.rows("SELECT body FROM silence_message WHERE id > %s ORDER BY id", newest)
        assert len(bodies) == self.last["messages"]
        return [row["body"] for row in bodies]

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), parameters or None).fetchall()

    def one(self, query: str, *parameters: object) -> Any:
        [row] = self.rows(query, *parameters)
        return next(iter(row.values()))

    def run(self, statement: str, *parameters: object) -> None:
        self.connection.execute(statement.encode(), parameters or None)


def migrate(connection: psycopg.Connection, sql: str) -> None:
    """Run a migration under the clock, in the transaction that is open."""
    connection.execute(f"SET LOCAL search_path = {_PATH}".encode())
    connection.execute(sql.replace("'pg_temp')", f"'{_PATH.removeprefix('public, ')}')").encode())


@pytest.fixture
def fleet(database: Database) -> Iterator[Fleet]:
    """An empty fleet with the ledger and telling, at two o'clock in the morning."""
    with database.connect() as connection:
        connection.execute(_CLOCK)
        connection.execute("SELECT set_config('clock.now', %s, false)", [START.isoformat()])
        for sql in (r0002_ledger.SQL, r0003_telling.SQL):
            with connection.transaction():
                migrate(connection, sql)
        yield Fleet(connection, database)


def texts(bodies: Iterable[dict[str, Any]]) -> list[str]:
    """Return what a person reads of messages."""
    return [body["text"] for body in bodies]


def site(name: str, count: int) -> list[str]:
    """Name the devices of a site."""
    return [f"{name}/{number:03}" for number in range(count)]
