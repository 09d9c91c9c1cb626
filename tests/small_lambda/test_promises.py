"""What every user of 128 MB may count on: ordinary events are answered well within the time and the memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.trigger_samples import SAMPLES

if TYPE_CHECKING:
    import psycopg

    from tests.small_lambda import Invocation, SmallLambda

pytestmark = pytest.mark.alone


def heartbeats(count: int) -> list[dict[str, Any]]:
    return [
        {
            "device_id": f"hvac-unit-{number:05}",
            "site_id": f"building-{number % 40:03}",
            "status": "ready",
            "agent_version": "1.0.0",
            "cpu_pct": 25.5,
            "disk_free_gb": 45.2,
            "queue_depth": 3,
            "poll_interval_s": 60,
            "last_upload_ts": "2026-01-05T12:00:00Z",
        }
        for number in range(count)
    ]


def rows(connection: psycopg.Connection) -> int:
    (found,) = connection.execute("SELECT count(*) FROM device_state").fetchone() or (0,)
    return int(found)


def comfortable(invocation: Invocation, seconds: float) -> bool:
    return invocation.completed and invocation.seconds < seconds and invocation.peak_mib < 100


def test_one_heartbeat(small_lambda: SmallLambda, connection: psycopg.Connection) -> None:
    cold, warm = [small_lambda.invoke(heartbeats(1)[0]) for _ in range(2)]
    assert cold.status == warm.status == 200
    assert comfortable(cold, 5)
    assert comfortable(warm, 1)
    assert rows(connection) == 1


@pytest.mark.parametrize("trigger", ["http-api", "sqs", "kinesis", "direct"])
def test_a_batch_of_1000(small_lambda: SmallLambda, connection: psycopg.Connection, trigger: str) -> None:
    invocation = small_lambda.invoke(SAMPLES[trigger].event(heartbeats(1_000), datetime.now(UTC)))
    assert comfortable(invocation, 5)
    assert rows(connection) == 1_000


@pytest.mark.slow
def test_one_megabyte_of_kinesis(small_lambda: SmallLambda, connection: psycopg.Connection) -> None:
    body = json.dumps({"devices": heartbeats(5_000)})
    assert len(body) > 900_000
    invocation = small_lambda.invoke(SAMPLES["kinesis"].event([body], datetime.now(UTC)))
    assert comfortable(invocation, 15)
    assert rows(connection) == 5_000
