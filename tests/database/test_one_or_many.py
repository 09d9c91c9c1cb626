"""A batch of one travels as plain values, a larger one as arrays: two forms of parameters, one meaning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvac_heartbeat.fields import INT4_MAX
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store import database as store_database
from hvac_heartbeat.store.device_state import DeviceState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

NOW = datetime.now(UTC)
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
amount = st.none() | st.floats(0, allow_infinity=False, allow_nan=False)
moment = st.none() | st.datetimes(datetime(1970, 1, 1), NOW.replace(tzinfo=None), timezones=st.just(UTC))  # noqa: DTZ001

heartbeats = st.builds(
    Heartbeat,
    device_id=st.sampled_from(["a", "ä", "\U0001f525" * 100, "z" * 256]),
    site_id=text,
    status=st.sampled_from([None, "ready", "degraded", "error"]),
    agent_version=st.none() | text,
    cpu_pct=amount,
    disk_free_gb=amount,
    queue_depth=st.none() | st.integers(0, INT4_MAX),
    poll_interval_s=st.none() | st.integers(1, INT4_MAX),
    last_upload_ts=moment,
    received_at=moment,
)


@pytest.fixture
def store(environment: dict[str, str]) -> Iterator[DeviceState]:
    database = store_database.Database(Settings.from_environment(environment))
    yield DeviceState(database)
    database.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=heartbeats, second=heartbeats)
def test_alone_or_beside_another_a_heartbeat_writes_the_same_row_and_has_the_same_verdict(
    store: DeviceState, database: Database, first: Heartbeat, second: Heartbeat
) -> None:
    second.device_id = first.device_id
    other = Heartbeat("other", "elsewhere", received_at=NOW - timedelta(hours=1))
    with database.connect() as connection:

        def written(beside: list[Heartbeat]) -> list[Any]:
            connection.execute("TRUNCATE device_state")
            verdicts = [
                store.write(sorted([one, *beside], key=lambda h: h.device_id), deadline=float("inf"))
                for one in (first, second)
            ]
            rows = connection.execute(
                "SELECT device_id, site_id, CASE WHEN last_seen_ts < %s THEN last_seen_ts END, status, agent_version, "
                "cpu_pct, disk_free_gb, queue_depth, poll_interval_s, last_upload_ts FROM device_state "
                "WHERE device_id <> 'other'",
                [NOW],
            ).fetchall()
            return [rows, [verdict.outdated for verdict in verdicts]]

        assert written([]) == written([other])
