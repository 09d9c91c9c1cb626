"""A database with the registries that a fleet's migrations may have made, and a count of what is sent there."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg.pq.abc import PGresult

    from hvac_heartbeat.settings import Settings
    from hvac_heartbeat.writing import WriteResult

FOREIGN_KEYS = """
CREATE TABLE sites (site_id text PRIMARY KEY);
CREATE TABLE devices (device_id text PRIMARY KEY, site_id text NOT NULL REFERENCES sites);
INSERT INTO sites VALUES ('north'), ('south');
INSERT INTO devices SELECT 'd' || n, 'north' FROM generate_series(1, 50) AS n;
ALTER TABLE device_state
    ADD CONSTRAINT known_device FOREIGN KEY (device_id) REFERENCES devices,
    ADD CONSTRAINT known_site FOREIGN KEY (site_id) REFERENCES sites,
    ALTER updated_at SET NOT NULL,
    ADD COLUMN note text;
CREATE INDEX ON device_state (site_id);
CREATE INDEX ON device_state (last_seen_ts DESC);
"""
KNOWN_DEVICE = "violates the database's constraint known_device"
KNOWN_SITE = "violates the database's constraint known_site"
NOW = datetime.now(UTC)


class CountingDatabase(Database):
    """The container's database, with a count of its statements."""

    statements = 0

    def execute(self, statement: bytes, parameters: Sequence[bytes | None], deadline: float) -> PGresult:
        self.statements += 1
        return super().execute(statement, parameters, deadline)


class Fleet:
    """A container's writer, and the statements that its last write took."""

    def __init__(self, settings: Settings, *, new_devices: bool = True) -> None:
        self.database = CountingDatabase(settings)
        self.writer = Writer(DeviceState(self.database, new_devices=new_devices))

    def write(self, *devices: str | tuple[str, str], at: datetime = NOW, seconds: float = 30) -> WriteResult:
        """Write a heartbeat of each device, at the site north where none is named."""
        pairs = [(device, "north") if isinstance(device, str) else device for device in devices]
        return self.send([Heartbeat(device, site, status="ready", received_at=at) for device, site in pairs], seconds)

    def send(self, heartbeats: Sequence[Heartbeat], seconds: float = 30) -> WriteResult:
        self.database.statements = 0
        return self.writer.write(heartbeats, time.monotonic() + seconds)

    @property
    def statements(self) -> int:
        return self.database.statements


def rejected(result: WriteResult) -> dict[str, str]:
    """Return the reason for each rejected device."""
    return {device_id: complaint.reason for (device_id, _), complaint in result.rejected.items()}


def stored(connection: psycopg.Connection) -> set[str]:
    return {device for (device,) in connection.execute("SELECT device_id FROM device_state").fetchall()}
