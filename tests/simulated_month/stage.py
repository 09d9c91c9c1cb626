"""The database that months are played on: the product's tables and functions, on a clock that the play turns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from hvac_heartbeat.local.fleet import Deaf, Maintenance, Policy
from hvac_heartbeat.local.fleet.incidents import SECOND
from hvac_heartbeat.schema.migrations.versions import r0002_ledger, r0003_telling
from hvac_heartbeat.store.queries import queries
from tests.conftest import TABLE_AND_VIEW
from tests.simulated_month.oracle import Swept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hvac_heartbeat.local.fleet import Announcement
    from hvac_heartbeat.local.fleet.incidents import Span

_PATH: Final = "public, clock, pg_catalog, pg_temp"
_TABLES: Final = (
    "device_state, silence, first_heartbeat, liveness_policy, maintenance_window, deaf_interval,"
    " episode, fleet_silence, silence_message"
)
_SWEEP: Final = "SELECT * FROM clock.sweep(%s, %s, %s, %s)"


def build(connection: psycopg.Connection, changes: Mapping[str, str] | None = None) -> None:
    """Make the product's schema in an empty database; `changes` of the SQL are for those who want to see it fail."""
    clock, after = Path(__file__).with_name("clock.sql").read_text().split("-- after the migrations\n")
    product = [r0002_ledger.SQL, r0003_telling.SQL]
    for old, new in (changes or {}).items():
        assert any(old in sql for sql in product), f"not in the product's SQL: {old}"
        product = [sql.replace(old, new) for sql in product]
    connection.execute(TABLE_AND_VIEW)
    connection.execute(clock.encode())
    connection.execute("SELECT clock.turn(0)")
    for sql in product:
        with connection.transaction():
            connection.execute(f"SET LOCAL search_path = {_PATH}".encode())
            connection.execute(sql.replace("'pg_temp')", f"'{_PATH.removeprefix('public, ')}')").encode())
    connection.execute(f"SET search_path = {_PATH}".encode())
    connection.execute(after.replace("{upsert}", _upsert()).encode())


def _upsert() -> str:
    """Return the store's upsert as a statement over the arrays of clock.deliver."""
    named = queries()
    upsert = named["upsert"].format(rows=named["rows"].format(heartbeats=named["heartbeats"]))
    arrays = {"1": "ids", "2": "sites", "3": "seen"}
    upsert = re.sub(r"\$(\d+)(?=::)", lambda found: arrays.get(found[1], "NULL"), upsert)
    return named["upsert_many"].format(upsert=upsert).replace("RETURNING device_id", "RETURNING stored.device_id")


class Stage:
    """A session of a database that was built, with the clock's settings."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connect()

    def _connect(self) -> None:
        self.connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=1)
        self.connection.execute(
            f"SET search_path = {_PATH}; SET clock.strike = 0; SET clock.strike_ends_session = off;"
            " SET plan_cache_mode = force_generic_plan; SET jit = off; SET synchronous_commit = off".encode()
        )

    def clear(self) -> None:
        """Empty every table."""
        self.connection.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY".encode())

    def play(self, steps: list[list[Any]]) -> None:
        """Write what happened."""
        self.connection.execute("SELECT clock.play(%s::jsonb)", [json.dumps(steps)])

    def begin_with(self, devices: list[str]) -> None:
        """Put devices into the table that were there before the ledger."""
        with self.connection.transaction():
            self.connection.execute("SET LOCAL hvac_heartbeat.ledger = 'failed'")  # which has the ledger look away
            self.connection.execute(
                "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)"
                " SELECT device, split_part(device, '/', 1), clock.at(0), clock.at(0)"
                " FROM unnest(%s::text[]) AS device",
                [devices],
            )

    def announce(self, what: Announcement) -> None:
        """Write what somebody announces."""
        run = self.connection.execute
        run("SELECT clock.turn(%s)", [what.at])
        if isinstance(what, Maintenance):
            run(
                "INSERT INTO maintenance_window (scope, subject, starts_at, ends_at)"
                " VALUES (%s, %s, clock.at(%s), clock.at(%s))",
                [what.scope, what.subject, what.starts, what.ends],
            )
        elif isinstance(what, Deaf):
            run(
                "INSERT INTO deaf_interval (starts_at, ends_at) VALUES (clock.at(%s), clock.at(%s))",
                [what.starts, what.ends],
            )
        elif isinstance(what, Policy):
            run("DELETE FROM liveness_policy WHERE scope = %s AND subject = %s", [what.scope, what.subject])
            if what.stale_after is not None:
                run(
                    "INSERT INTO liveness_policy VALUES (%s, %s, make_interval(secs => %s))",
                    [what.scope, what.subject, what.stale_after / SECOND],
                )
        else:
            run("DELETE FROM device_state WHERE device_id = %s", [what.device])

    def sweep(self, at: int, unreachable: Span | None, canary: str | None) -> Swept | None:
        """Sweep at a time; None where another sweep is under way."""
        first, last = unreachable or (-1, -1)
        row = self.connection.execute(_SWEEP, [at, first, last, canary]).fetchone()
        assert row is not None
        return None if row[0] else Swept(*row[1:])

    def sweep_struck(
        self, at: int, unreachable: Span | None, canary: str | None, statement: int, *, ends_session: bool
    ) -> Swept | None:
        """Sweep, and be ended after so many statements that write; None where it was."""
        run = self.connection.execute
        run("SELECT set_config('clock.strike', %s, false)", [str(statement)])
        run("SELECT set_config('clock.strike_ends_session', %s, false)", [str(ends_session)])
        try:
            return self.sweep(at, unreachable, canary)
        except psycopg.errors.RaiseException:
            return None
        except psycopg.errors.AdminShutdown:
            self.connection.close()
            self._connect()
            return None
        finally:
            self.connection.execute("SELECT set_config('clock.strike', '0', false)")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(query.encode()).fetchall()

    def close(self) -> None:
        """End the session."""
        self.connection.close()
