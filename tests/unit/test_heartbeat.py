"""Reading heartbeats: the fast way and the exact way agree, and bad metrics never cost an identity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvac_heartbeat import reading
from hvac_heartbeat.heartbeat import Heartbeat, merge, newest_sites, read_exactly
from hvac_heartbeat.outcome import Complaint
from hvac_heartbeat.reading import Record, read

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


def read_record(batch: list[Any]) -> tuple[list[Heartbeat], list[Complaint], list[Complaint]]:
    """Read a record as the function does; the heartbeats, the rejected and the ignored."""
    heartbeats, outcome = read([Record("r", batch, ARRIVAL)])
    return heartbeats, outcome.rejected.first, outcome.ignored.first


def read_each(batch: list[Any]) -> tuple[list[Heartbeat], list[Complaint], list[Complaint]]:
    """The same by the exact rules alone."""
    heartbeats, rejected, ignored = [], [], []
    for index, body in enumerate(batch):
        found = read_exactly(body, ARRIVAL)
        if isinstance(found, Complaint):
            rejected.append(found.about(index, body.get("device_id")))
        else:
            heartbeat, complaints = found
            heartbeats.append(heartbeat)
            ignored += [complaint.about(index, heartbeat.device_id) for complaint in complaints]
    return heartbeats, rejected, ignored


@given(st.lists(bodies | nearly_clean, min_size=1, max_size=4))
def test_a_record_is_read_by_the_exact_rules_whatever_is_in_it(batch: list[dict[str, Any]]) -> None:
    assert repr(read_record(batch)) == repr(read_each(batch))  # as text, because NaN is not NaN


@given(
    st.integers(0, 10**12 - 1).flatmap(lambda n: st.integers(1, 12).map(lambda digits: f"{n:012}"[:digits])),
    st.sampled_from(["Z", "z", "+00:00", "-05:30"]),
)
def test_both_ways_take_a_time_to_the_same_microsecond(fraction: str, offset: str) -> None:
    """.NET writes seven digits, Go nine."""
    body = {"device_id": "a", "site_id": "s", "last_upload_ts": f"2024-12-31T23:59:59.{fraction}{offset}"}
    found = read_exactly(body, ARRIVAL)
    assert not isinstance(found, Complaint)
    assert found[0].last_upload_ts is not None
    assert read_record([body]) == ([found[0]], [], [])


@pytest.mark.parametrize("offset", ["Z", "+05:30", "+16:00", "-23:59"])
@pytest.mark.parametrize("status", ["ready", "new"])
def test_a_time_is_in_utc_whatever_its_offset(offset: str, status: str) -> None:
    """PostgreSQL takes no offset of 16 hours."""
    body = {"device_id": "a", "site_id": "s", "status": status, "last_upload_ts": f"2024-12-31T23:59:59{offset}"}
    ((heartbeat,), _, _) = read_record([body])
    assert heartbeat.last_upload_ts == datetime.fromisoformat(body["last_upload_ts"])
    assert heartbeat.last_upload_ts.tzinfo is UTC


def test_a_clean_record_needs_no_exact_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every batch would pay for them without anybody noticing."""
    monkeypatch.setattr(reading, "read_exactly", None)
    batch = [
        {"device_id": "hvac-001", "site_id": "building-a", "status": "ready"},
        {"device_id": "hvac-unit-001", "site_id": "building-a", "agent_version": "1.0.0", "cpu_pct": 25, "x": [1]},
        {"device_id": "7", "site_id": "8", "queue_depth": 3, "last_upload_ts": "2026-05-04T03:00:00Z", "status": None},
    ]
    assert len(read_record(batch)[0]) == 3


@pytest.mark.parametrize("key", ["received_at", "last_seen_ts"])
def test_a_device_does_not_say_when_it_was_seen(key: str) -> None:
    body = {"device_id": "a", "site_id": "b", key: "2020-01-01T00:00:00Z"}
    assert read_record([body]) == ([Heartbeat("a", "b", received_at=ARRIVAL)], [], [])
    assert read_each([body]) == ([Heartbeat("a", "b", received_at=ARRIVAL)], [], [])


@pytest.mark.parametrize("body", [None, 5, "text", [], True])
def test_what_is_no_object_is_rejected(body: object) -> None:
    assert read_record([body]) == ([], [Complaint("heartbeat", "is not a JSON object", 0)], [])


def test_bad_metrics_are_ignored_and_named_and_the_device_still_counts() -> None:
    heartbeats, _, ignored = read_record(
        [{"device_id": "a", "site_id": "b", "status": "new", "cpu_pct": -1, "queue_depth": 3}]
    )
    assert heartbeats == [Heartbeat("a", "b", queue_depth=3, received_at=ARRIVAL)]
    assert ignored == [
        Complaint("status", "is not one of ready, degraded, error", 0, "a"),
        Complaint("cpu_pct", "is below 0", 0, "a"),
    ]


def later(second: int) -> datetime:
    return ARRIVAL + timedelta(seconds=second)


def test_the_newest_stands_for_all_where_it_says_all_that_they_say() -> None:
    newest = Heartbeat("b", "s", status="error", cpu_pct=3, received_at=later(3))
    batch = [
        Heartbeat("b", "s", status="ready", cpu_pct=1, received_at=later(0)),
        newest,
        Heartbeat("b", "s", status="degraded", received_at=later(2)),
    ]
    assert merge(batch) == [newest]


def test_an_older_one_stays_for_a_field_that_nobody_newer_says() -> None:
    """Whether its value counts depends on the stored row. Each comes before those that are newer."""
    beats = [
        Heartbeat("b", "s", queue_depth=7, status="error", received_at=later(0)),
        Heartbeat("b", "s", status="ready", cpu_pct=1, received_at=later(1)),
        Heartbeat("b", "s", status="ready", received_at=later(2)),
        Heartbeat("b", "s", status="ready", received_at=later(3)),
    ]
    assert merge([beats[2], beats[0], beats[3], beats[1]]) == [beats[0], beats[1], beats[3]]


def test_there_are_no_more_than_one_for_each_optional_field_and_the_newest() -> None:
    said: list[tuple[str, Any]] = [("status", "ready"), ("agent_version", "1"), ("cpu_pct", 1.0), ("queue_depth", 1)]
    said += [("disk_free_gb", 1.0), ("poll_interval_s", 1), ("last_upload_ts", ARRIVAL)]
    batch = [Heartbeat("b", "s", received_at=later(second), **dict([said[second % 7]])) for second in range(1_000)]
    assert len(merge([*batch, Heartbeat("b", "s", received_at=later(1_000))])) == 8


def test_those_of_one_time_become_one_and_the_later_in_the_batch_wins() -> None:
    first = Heartbeat("a", "s", status="ready", cpu_pct=1, received_at=ARRIVAL)
    assert merge([first, Heartbeat("a", "s", status="error", received_at=ARRIVAL)]) == [
        Heartbeat("a", "s", status="error", cpu_pct=1, received_at=ARRIVAL)
    ]
    assert merge([Heartbeat("a", "s"), Heartbeat("a", "s", status="ready")]) == [Heartbeat("a", "s", status="ready")]


def test_of_one_time_at_several_sites_the_later_in_the_batch_wins_each_field() -> None:
    beats = [
        Heartbeat("a", "s1", cpu_pct=1, received_at=ARRIVAL),
        Heartbeat("a", "s2", cpu_pct=2, received_at=ARRIVAL),
        Heartbeat("a", "s1", received_at=ARRIVAL),
    ]
    assert merge(beats) == beats  # in this order, each written over the one before


def test_each_of_the_newest_sites_is_merged_by_itself_and_all_others_as_one() -> None:
    """The database may refuse the newest site; what an older one says must not be lost with it."""
    batch = [Heartbeat("b", f"s{second % 50}", status="ready", received_at=later(second)) for second in range(100)]
    merged = merge(batch)
    assert [heartbeat.site_id for heartbeat in merged] == ["s45", "s46", "s47", "s48", "s49"]
    assert newest_sites(batch) == {"s46", "s47", "s48", "s49"}


def test_merging_leaves_what_it_was_given_alone() -> None:
    first, second = Heartbeat("a", "s", status="ready"), Heartbeat("a", "s")
    merge([first, second])
    assert (first, second) == (Heartbeat("a", "s", status="ready"), Heartbeat("a", "s"))
