"""Reading heartbeats: the fast way and the exact way agree, and bad metrics never cost an identity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvac_heartbeat.batch import read_all
from hvac_heartbeat.heartbeat import Heartbeat, HeartbeatRejected, merge, read

ARRIVAL = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["x" * 257, "a\0", "\ud800", " a ", "\u00a0a", "ü", "ready", "5", 10**400, [], {}, "\x9f"])
)
FIELDS = (
    "device_id",
    "site_id",
    "status",
    "agent_version",
    "cpu_pct",
    "disk_free_gb",
    "queue_depth",
    "poll_interval_s",
    "last_upload_ts",
    "received_at",
    "last_seen_ts",
)
bodies = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, odd))
nearly_clean = st.fixed_dictionaries(
    {"device_id": st.text(min_size=1, max_size=4), "site_id": st.just("s")},
    optional={
        "agent_version": st.text(max_size=3),
        "cpu_pct": st.floats() | st.integers(),
        "last_upload_ts": st.datetimes(timezones=st.sampled_from([None, UTC])).map(datetime.isoformat),
    },
)


@given(st.lists(bodies | nearly_clean, min_size=1, max_size=4))
def test_reading_at_once_gives_what_reading_one_by_one_gives(batch: list[dict[str, Any]]) -> None:
    """Or leaves the batch to the exact way, because of an identity."""
    at_once = read_all(batch, [ARRIVAL] * len(batch))
    if at_once is not None:
        each = [read(body, ARRIVAL) for body in batch]
        assert at_once[0] == [heartbeat for heartbeat, _ in each]
        assert at_once[1] == [(index, *found) for index, (_, ignored) in enumerate(each) for found in ignored]


@given(
    st.integers(0, 10**12 - 1).flatmap(lambda n: st.integers(1, 12).map(lambda digits: f"{n:012}"[:digits])),
    st.sampled_from(["Z", "z", "+00:00", "-05:30"]),
)
def test_both_ways_take_a_time_to_the_same_microsecond(fraction: str, offset: str) -> None:
    """.NET writes seven digits, Go nine."""
    body = {"device_id": "a", "site_id": "s", "last_upload_ts": f"2024-12-31T23:59:59.{fraction}{offset}"}
    heartbeat, _ = read(body, ARRIVAL)
    assert heartbeat.last_upload_ts is not None
    assert read_all([body], [ARRIVAL]) == ([heartbeat], [])


def test_a_field_amiss_in_every_heartbeat_leaves_the_batch_on_the_fast_way() -> None:
    batch = [{"device_id": str(number), "site_id": "s", "status": "updating", "cpu_pct": 5} for number in range(3)]
    at_once = read_all(batch, [ARRIVAL] * 3)
    assert at_once is not None
    assert at_once[0] == [Heartbeat(str(number), "s", cpu_pct=5, received_at=ARRIVAL) for number in range(3)]
    assert [(index, field) for index, field, _ in at_once[1]] == [(0, "status"), (1, "status"), (2, "status")]


def test_the_fast_way_takes_the_missions_own_batch() -> None:
    """Otherwise every batch would pay for the exact way without anybody noticing."""
    batch = [
        {"device_id": "hvac-001", "site_id": "building-a", "status": "ready"},
        {"device_id": "hvac-unit-001", "site_id": "building-a", "agent_version": "1.0.0", "cpu_pct": 25, "x": [1]},
        {"device_id": "7", "site_id": "8", "queue_depth": 3, "last_upload_ts": "2026-05-04T03:00:00Z", "status": None},
    ]
    assert read_all(batch, [ARRIVAL] * 3) is not None


@pytest.mark.parametrize("key", ["received_at", "last_seen_ts"])
def test_a_device_does_not_say_when_it_was_seen(key: str) -> None:
    body = {"device_id": "a", "site_id": "b", key: "2020-01-01T00:00:00Z"}
    heartbeat, ignored = read(body, ARRIVAL)
    assert (heartbeat.received_at, ignored) == (ARRIVAL, [])
    fast = read_all([body], [ARRIVAL])
    assert fast is not None
    assert fast[0][0].received_at == ARRIVAL


@pytest.mark.parametrize("body", [None, 5, "text", [], True])
def test_what_is_no_object_is_rejected(body: object) -> None:
    with pytest.raises(HeartbeatRejected, match="is not a JSON object"):
        read(body, None)


def test_bad_metrics_are_ignored_and_named_and_the_device_still_counts() -> None:
    heartbeat, ignored = read(
        {"device_id": "a", "site_id": "b", "status": "new", "cpu_pct": -1, "queue_depth": 3}, None
    )
    assert heartbeat == Heartbeat("a", "b", queue_depth=3)
    assert ignored == [("status", "is not one of ready, degraded, error"), ("cpu_pct", "is below 0")]


def test_the_heartbeats_of_one_device_become_one_in_order_of_arrival() -> None:
    """Each field is the newest that was said, wherever in the batch it stood."""
    later = [ARRIVAL + timedelta(seconds=second) for second in range(4)]
    batch = [
        Heartbeat("b", "s0", status="ready", cpu_pct=1, received_at=later[0]),
        Heartbeat("a", "s"),
        Heartbeat("b", "s3", received_at=later[3]),
        Heartbeat("b", "s2", status="error", received_at=later[2]),
        Heartbeat("b", "s1", status="degraded", cpu_pct=2, received_at=later[1]),
    ]
    assert merge(batch) == [
        Heartbeat("a", "s"),
        Heartbeat("b", "s3", status="error", cpu_pct=2, received_at=later[3]),
    ]


def test_of_equal_arrivals_the_later_in_the_batch_wins() -> None:
    assert merge([Heartbeat("a", "s1", received_at=ARRIVAL), Heartbeat("a", "s2", received_at=ARRIVAL)]) == [
        Heartbeat("a", "s2", received_at=ARRIVAL)
    ]


def test_merging_leaves_what_it_was_given_alone() -> None:
    first, second = Heartbeat("a", "s1", status="ready"), Heartbeat("a", "s2")
    merge([first, second])
    assert (first, second) == (Heartbeat("a", "s1", status="ready"), Heartbeat("a", "s2"))
