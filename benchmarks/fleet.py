"""The fleet that the benchmarks speak for: its events, and its rows before the clock starts."""

from __future__ import annotations

import random
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

Body = dict[str, Any]
STATUSES = ("ready",) * 18 + ("degraded", "error")

# The table and view, word for word.
TABLE_AND_VIEW = """
CREATE TABLE device_state (
    device_id TEXT PRIMARY KEY,
    site_id TEXT NOT NULL,
    last_seen_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    last_upload_ts TIMESTAMP WITH TIME ZONE,
    queue_depth INTEGER,
    agent_version TEXT,
    poll_interval_s INTEGER,
    cpu_pct FLOAT,
    disk_free_gb FLOAT,
    status TEXT CHECK (status IN ('ready','degraded','error')),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);
CREATE OR REPLACE VIEW v_devices_stale AS
SELECT device_id, site_id, last_seen_ts, now() - last_seen_ts AS age
FROM device_state
WHERE now() - last_seen_ts > interval '120 seconds';
"""
# Not by way of the migration, which wants Alembic.
LEDGER = files("hvac_heartbeat").joinpath("schema/migrations/versions/r0002_ledger.sql").read_text(encoding="utf-8")


def device(number: int) -> str:
    """Return the id of a device."""
    return f"hvac-unit-{number:07d}"


def site(number: int) -> str:
    """Return the id of a device's site."""
    return f"building-{number // 40:05d}"


def heartbeat(number: int, chance: random.Random) -> Body:
    """Return the decoded JSON of one heartbeat, with every optional field but `last_upload_ts`."""
    return {
        "device_id": device(number),
        "site_id": site(number),
        "status": chance.choice(STATUSES),
        "agent_version": "1.4.2",
        "cpu_pct": round(chance.uniform(1, 99), 1),
        "disk_free_gb": round(chance.uniform(1, 250), 1),
        "queue_depth": chance.randrange(20),
        "poll_interval_s": 60,
    }


def heartbeats(numbers: Iterable[int], seed: int = 1) -> list[Body]:
    """Return one heartbeat for each of these devices, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - made-up readings
    return [heartbeat(number, chance) for number in numbers]


def event(bodies: Sequence[Body]) -> Body:
    """Return the direct event that holds them: the two forms."""
    return bodies[0] if len(bodies) == 1 else {"devices": list(bodies)}


def sample(size: int, fleet: int, seed: int = 1) -> list[int]:
    """Choose devices at random, as a queue or a stream would gather them."""
    return random.Random(seed).sample(range(fleet), size)  # noqa: S311 - as above


def populate(connection: psycopg.Connection, devices: int) -> None:
    """Give every device of the fleet a row, last seen a minute ago."""
    connection.execute(
        """
        INSERT INTO device_state
        SELECT 'hvac-unit-' || lpad(number::text, 7, '0'), 'building-' || lpad((number / 40)::text, 5, '0'),
               now() - interval '1 minute', NULL, 0, '1.4.2', 60, 25.5, 45.2, 'ready', now() - interval '1 minute'
          FROM generate_series(0, %s - 1) AS number
        """,
        [devices],
    )
    connection.execute("VACUUM (ANALYZE) device_state")
