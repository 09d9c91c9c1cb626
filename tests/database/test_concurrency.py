"""Containers that write overlapping batches at the same time: no deadlock, no error, and the right rows."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer
from tests.database.invocation import wait_until
from tests.database.servers import backends

if TYPE_CHECKING:
    import psycopg

WRITERS = 8
SECONDS = 4
BATCH = 500
FLEET = 700  # so that any two batches overlap


def _write_for_a_while(number: int, *, known_only: bool) -> tuple[int, dict[str, Heartbeat]]:
    """Return how many batches were written, and the newest heartbeat of each device among them.

    With `known_only` it sends the statement that looks at a batch before it writes it.
    """
    chance = random.Random(number)  # noqa: S311 - a shuffle, not a secret
    database = Database(Settings.from_environment(os.environ))
    writer = Writer(DeviceState(database, new_devices=not known_only))
    newest: dict[str, Heartbeat] = {}
    batches, ends = 0, time.monotonic() + SECONDS
    base = datetime.now(UTC) - timedelta(days=1)
    try:
        while time.monotonic() < ends:
            arrived = base + timedelta(seconds=chance.uniform(0, 3600))
            batch = [
                Heartbeat(f"d{device}", f"s{number}", queue_depth=batches, received_at=arrived)
                for device in chance.sample(range(1, FLEET + 1), BATCH)
            ]
            result = writer.write(batch, time.monotonic() + 30)
            assert not result.rejected
            assert not result.failed
            for heartbeat in batch:
                known = newest.get(heartbeat.device_id)
                if known is None or (known.received_at or arrived) <= arrived:
                    newest[heartbeat.device_id] = heartbeat
            batches += 1
    finally:
        database.close()
    return batches, newest


@pytest.mark.parametrize("known_only", [0, WRITERS // 2], ids=["all accept new devices", "half of them reject"])
def test_eight_writers_of_overlapping_batches_never_deadlock_and_leave_the_newest(
    environment: dict[str, str], connection: psycopg.Connection, known_only: int
) -> None:
    """Batches in random order of devices; the order in which rows are locked is the writer's, for either statement."""
    if known_only:  # for whom a device without a row would be a new one
        connection.execute(
            "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
            " SELECT 'd' || n, 'before', now() - interval '2 days' FROM generate_series(1, %s) AS n",
            [FLEET],
        )
    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(_write_for_a_while, number, known_only=number < known_only) for number in range(WRITERS)]
        results = [written.result() for written in writing]
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
    wait_until(lambda: not backends(connection, "datname = current_database()"))  # each tells its statistics at its end
    deadlocks = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks.fetchone() == (0,)
