"""A batch waits for a lock on the table as long as there is time, whatever its size, and leaves nobody in line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.database.invocation import deliver, in_thread, wait_until
from tests.database.servers import await_lock, backends, locked

if TYPE_CHECKING:
    import psycopg

    from hvac_heartbeat.local.postgres import PostgresServer

# A backend that waits for a table's lock while it parses does not read what comes behind the statement's text. The
# larger ones do not fit into the buffers on the way, so the rest of the batch stays with the client for all that time.
SIZES = [2_000, 10_000]
LONGER_THAN_A_DEAD_HOST_HAS_S = 9.0


def devices(size: int) -> list[str]:
    return [f"device-{number:05}-of-a-building-with-a-long-name" for number in range(size)]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "mode"), [(2_000, "SHARE"), (10_000, "SHARE"), (10_000, "ACCESS EXCLUSIVE")])
def test_a_batch_of_any_size_waits_for_an_index_to_be_made(
    admin: psycopg.Connection, fragile: PostgresServer, size: int, mode: str
) -> None:
    with locked(fragile, mode):
        delivery = in_thread(lambda: deliver(*devices(size), seconds=60))
        await_lock(admin)
        time.sleep(LONGER_THAN_A_DEAD_HOST_HAS_S)
        assert len(backends(admin)) == 1, "the batch was sent once"
        assert not delivery.done()
    result = delivery.result(60)
    assert len(result.acknowledged) == size


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_batch_of_any_size_that_ran_out_of_time_leaves_nobody_in_line(
    admin: psycopg.Connection, fragile: PostgresServer, size: int
) -> None:
    with locked(fragile, "ACCESS EXCLUSIVE"):
        result = deliver(*devices(size), seconds=10)
        assert result.failure is not None
        assert "did not answer in time" in str(result.failure)
        wait_until(lambda: not backends(admin))
        assert result.seconds > 8, "there was time left"
    written = admin.execute("SELECT count(*) FROM device_state WHERE device_id LIKE 'device-%'").fetchone()
    assert written == (0,)
