"""A read model, and a fleet with a ledger of a year for it to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_WRITE = """
INSERT INTO device_state (device_id, site_id, last_seen_ts, status, queue_depth, last_upload_ts, updated_at)
VALUES (%(device)s, %(site)s, %(seen)s, %(status)s, %(queue_depth)s, %(uploaded)s, %(seen)s)
    ON CONFLICT (device_id) DO UPDATE SET last_seen_ts = excluded.last_seen_ts, updated_at = excluded.updated_at
"""


@dataclass
class Fleet:
    """Writes what devices sent some minutes ago, counted from when the test began."""

    connection: psycopg.Connection
    now: datetime

    def ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def beat(
        self,
        device: str,
        site: str,
        *minutes: float,
        status: str | None = None,
        queue_depth: int | None = None,
        uploaded: float | None = None,
    ) -> None:
        """Write heartbeats that came so many minutes ago, the oldest first."""
        for ago in minutes:
            row = {"device": device, "site": site, "seen": self.ago(ago), "status": status, "queue_depth": queue_depth}
            self.connection.execute(_WRITE, row | {"uploaded": None if uploaded is None else self.ago(uploaded)})


@pytest.fixture
def bare(connection: psycopg.Connection) -> Fleet:
    """A database with the table and the view alone."""
    return Fleet(connection, datetime.now(UTC))


@pytest.fixture
def fleet(bare: Fleet) -> Fleet:
    """A database with the ledger, whose roles read times in another zone and another style."""
    bare.connection.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Europe/Berlin''',"
                            " current_database()); EXECUTE format('ALTER DATABASE %I SET datestyle = ''German''',"
                            " current_database()); END $$")  # fmt: skip
    schema.migrate(bare.connection)
    bare.connection.execute("UPDATE ledger_start SET started_at = now() - interval '1 year'")
    return bare


@pytest.fixture
def model(environment: dict[str, str]) -> Iterator[ReadModel]:
    """A read model on the test's database."""
    model = ReadModel(Settings.from_environment(environment))
    yield model
    model.close()
