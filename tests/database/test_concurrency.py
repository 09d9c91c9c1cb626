"""Containers that write overlapping batches at the same time: no deadlock, no error, and the right rows."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hvac_heartbeat.heartbeat import Heartbeat, merge
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState

if TYPE_CHECKING:
    import psycopg

WRITERS = 8
SECONDS = 4
BATCH = 500
FLEET = 700  # so that any two batches overlap


def _write_for_a_while(writer: int) -> tuple[int, dict[str, Heartbeat]]:
    """Return how many batches were written, and the newest heartbeat of each device among them."""
    chance = random.Random(writer)  # noqa: S311 - a shuffle, not a secret
    database = Database(Settings.from_environment(os.environ))
    store = DeviceState(database)
    newest: dict[str, Heartbeat] = {}
    batches, ends = 0, time.monotonic() + SECONDS
    base = datetime.now(UTC) - timedelta(days=1)
    try:
        while time.monotonic() < ends:
            arrived = base + timedelta(seconds=chance.uniform(0, 3600))
            batch = [
                Heartbeat(f"d{device}", f"s{writer}", queue_depth=batches, received_at=arrived)
                for device in chance.sample(range(FLEET), BATCH)
            ]
            written = store.write(merge(batch), time.monotonic() + 30)
            assert not written.rejected
            assert not written.failed
            for heartbeat in batch:
                known = newest.get(heartbeat.device_id)
                if known is None or (known.received_at or arrived) <= arrived:
                    newest[heartbeat.device_id] = heartbeat
            batches += 1
    finally:
        database.close()
    return batches, newest


def test_eight_writers_of_overlapping_batches_never_deadlock_and_leave_the_newest(
    environment: dict[str, str], connection: psycopg.Connection
) -> None:
    """Batches in random order of devices; the order in which rows are locked is `merge`'s."""
    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(_write_for_a_while, range(WRITERS)))
    assert min(batches for batches, _ in results) > 1
    expected: dict[str, tuple[datetime, str]] = {}
    for _, newest in results:
        for device, heartbeat in newest.items():
            assert heartbeat.received_at is not None
            expected[device] = max(
                expected.get(device, (heartbeat.received_at, "")), (heartbeat.received_at, heartbeat.site_id)
            )
    rows = connection.execute("SELECT device_id, last_seen_ts, site_id FROM device_state").fetchall()
    assert {device: (seen, site) for device, seen, site in rows} == expected
    deadlocks = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks.fetchone() == (0,)
