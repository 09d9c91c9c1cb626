"""A database with the registries that a fleet's migrations may have made, and a look at what a store sends there."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from hvac_heartbeat.settings import Settings
    from hvac_heartbeat.store.connection import BoundedConnection
    from hvac_heartbeat.verdicts import Written

PARENTS = """
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
KNOWN_DEVICE = ("device_id", "violates the database's constraint known_device")
KNOWN_SITE = ("site_id", "violates the database's constraint known_site")
NOW = datetime.now(UTC)


class Fleet:
    """A container's store on a database with parents, and a look at every statement that it sends."""

    def __init__(self, settings: Settings, *, new_devices: bool = True) -> None:
        self.database = Database(settings)
        self.state = DeviceState(self.database, new_devices=new_devices)
        self.statements = 0
        persist = self.database._run

        def counted(act: Callable[[BoundedConnection], Any], deadline: float) -> Any:
            self.statements += 1
            return persist(act, deadline)

        self.database._run = counted  # type: ignore[method-assign]

    def write(self, *devices: str | tuple[str, str], at: datetime = NOW) -> Written:
        """Write a heartbeat of each device, at the site north where none is named."""
        pairs = [(device, "north") if isinstance(device, str) else device for device in devices]
        batch = [Heartbeat(device, site, status="ready", received_at=at) for device, site in sorted(pairs)]
        self.statements = 0
        return self.state.write(batch, time.monotonic() + 30)


def stored(connection: psycopg.Connection) -> set[str]:
    return {device for (device,) in connection.execute("SELECT device_id FROM device_state").fetchall()}
