"""The ledger under a clock that a test sets: a now() of its own, ahead of PostgreSQL's on the search_path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.schema.migrations.versions.r0002_ledger import SQL

if TYPE_CHECKING:
    import psycopg

# The product's SQL sets the search_path, on which now() is found, to the schema of device_state.
ITS_PATH = """concat_ws(', ', relnamespace::regnamespace,
                            nullif(typnamespace::regnamespace::text, 'pg_catalog'), 'pg_temp')"""
SEARCH_PATH = "public, clock, pg_catalog, pg_temp"
SQL_WITH_CLOCK = SQL.replace(ITS_PATH, f"'{SEARCH_PATH}'")
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.time AS SELECT timestamptz '2026-10-01 00:00Z' AS now;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now FROM clock.time';
"""
DAY = datetime(2026, 10, 1, tzinfo=UTC)


def at(time: str, day: int = 1) -> datetime:
    """Return a time of October 2026 in UTC; "24:00" is the next day's midnight."""
    hours, minutes, seconds = [*(float(part) for part in time.split(":")), 0.0][:3]
    return DAY + timedelta(days=day - 1, hours=hours, minutes=minutes, seconds=seconds)


@dataclass
class Ledger:
    """A database with the ledger, made at midnight of 1 October, and what a test does to it."""

    connection: psycopg.Connection

    def now(self, time: datetime) -> None:
        """Set the clock."""
        self.connection.execute("UPDATE clock.time SET now = %s", [time])

    def heartbeat(self, device: str, *times: datetime, site: str = "north", **columns: object) -> None:
        """Write heartbeats as the function does; the triggers see them."""
        row = {"device_id": device, "site_id": site, **columns}
        names = ", ".join(row)
        values = ", ".join(f"%({name})s" for name in row)
        changes = ", ".join(f"{name} = excluded.{name}" for name in (*row, "last_seen_ts"))
        for time in times:
            self.connection.execute(
                f"INSERT INTO device_state ({names}, last_seen_ts) VALUES ({values}, %(time)s)"  # noqa: S608
                f" ON CONFLICT (device_id) DO UPDATE SET {changes}",
                {**row, "time": time},
            )

    def policy(self, scope: str, subject: str, stale_after: str) -> None:
        """Set a rule."""
        self.connection.execute("INSERT INTO liveness_policy VALUES (%s, %s, %s)", [scope, subject, stale_after])

    def maintenance(self, scope: str, subject: str, starts: datetime, ends: datetime | None = None) -> None:
        """Announce maintenance, or add it afterwards."""
        self.connection.execute(
            "INSERT INTO maintenance_window (scope, subject, starts_at, ends_at) VALUES (%s, %s, %s, %s)",
            [scope, subject, starts, ends],
        )

    def deaf(self, starts: datetime, ends: datetime | None = None) -> None:
        """Say that nobody was heard."""
        self.connection.execute("INSERT INTO deaf_interval (starts_at, ends_at) VALUES (%s, %s)", [starts, ends])

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(query.encode(), parameters).fetchall()

    def one(self, query: str, *parameters: object) -> tuple[Any, ...]:
        """Return the one row of a query."""
        (row,) = self.rows(query, *parameters)
        return row
