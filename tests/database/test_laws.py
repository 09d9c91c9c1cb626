"""The laws of writing (design contract, section 3), on a real PostgreSQL, through the handler.

A row is compared without `updated_at`, which is the time of the write.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

Handler: TypeAlias = "Callable[[object], Any]"
Body: TypeAlias = dict[str, Any]

# Each example starts from an emptied table, so that one database can serve them all.
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
FIELDS = ("status", "agent_version", "cpu_pct", "disk_free_gb", "queue_depth", "poll_interval_s", "last_upload_ts")


def at(second: float) -> str:
    return (BASE + timedelta(seconds=second)).isoformat()


said = {
    "status": st.sampled_from([None, "ready", "degraded", "error", "unheard of"]),
    "agent_version": st.sampled_from([None, "1.0.0", "", '2"\\,{}', "ü"]),
    "cpu_pct": st.none() | st.floats(0, 1e308) | st.just("7.5"),
    "disk_free_gb": st.none() | st.integers(0, 2**53) | st.just(-1),
    "queue_depth": st.none() | st.integers(0, 2**31 - 1),
    "poll_interval_s": st.none() | st.integers(1, 2**31 - 1),
    "last_upload_ts": st.none() | st.integers(0, 3600).map(lambda second: at(second - 3600)),
}


@st.composite
def heartbeats(draw: st.DrawFn) -> list[Body]:
    """Draw heartbeats of few devices with distinct times of arrival, oldest first."""
    seconds = draw(st.lists(st.integers(1, 3600), min_size=1, max_size=12, unique=True))
    identity = {
        "device_id": st.sampled_from(["a", "b", "c", "ä", "Z"]),
        "site_id": st.sampled_from(["north", "south"]),
    }
    body = st.fixed_dictionaries(identity, optional=said)
    return [draw(body) | {"received_at": at(second)} for second in sorted(seconds)]


def rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    columns = ", ".join(("device_id", "site_id", "last_seen_ts", *FIELDS))
    return connection.execute(f"SELECT {columns} FROM device_state ORDER BY device_id").fetchall()  # noqa: S608


def last_seen(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT device_id, last_seen_ts FROM device_state ORDER BY device_id").fetchall()


def deliver(
    handler: Handler, connection: psycopg.Connection, batches: Sequence[object], before: Sequence[Body]
) -> None:
    connection.execute("TRUNCATE device_state")
    for body in before:
        handler(body)
    for batch in batches:
        assert handler(batch)["statusCode"] == 200


@pytest.fixture
def known() -> list[Body]:
    """Rows that are older than every heartbeat drawn."""
    return [
        {"device_id": "a", "site_id": "old", "status": "error", "cpu_pct": 1, "received_at": at(-10)},
        {"device_id": "ä", "site_id": "old", "queue_depth": 1, "received_at": at(-10)},
    ]


@law
@given(batch=heartbeats(), known=heartbeats(), data=st.data())
def test_a_batch_leaves_what_its_heartbeats_leave_one_by_one(
    handler: Handler, connection: psycopg.Connection, batch: list[Body], known: list[Body], data: st.DataObject
) -> None:
    """Whole, shuffled, repeated, or split anywhere in order of time, on rows older or newer: they are the same."""
    deliver(handler, connection, batch, known)
    expected = rows(connection)
    shuffled = data.draw(st.permutations(batch))
    cut = data.draw(st.integers(1, len(batch)))
    second_cut = data.draw(st.integers(cut, len(batch)))
    split = [part for part in (batch[:cut], batch[cut:second_cut], batch[second_cut:]) if part]
    for batches in ([batch], [shuffled], [{"devices": shuffled}] * 2, split):
        deliver(handler, connection, batches, known)
        assert rows(connection) == expected


@law
@given(batch=heartbeats(), data=st.data())
def test_last_seen_is_the_same_for_any_order_of_delivery(
    handler: Handler, connection: psycopg.Connection, known: list[Body], batch: list[Body], data: st.DataObject
) -> None:
    deliver(handler, connection, batch, known)
    expected = last_seen(connection)
    order = data.draw(st.permutations(batch))
    cut = data.draw(st.integers(0, len(order)))
    deliver(handler, connection, [part for part in (order[:cut], order[cut:]) if part], known)
    assert last_seen(connection) == expected
    deliver(handler, connection, order, known)
    assert last_seen(connection) == expected


def test_what_is_delivered_again_beside_news_takes_no_newer_value_back(
    handler: Handler, connection: psycopg.Connection
) -> None:
    handler({"device_id": "a", "site_id": "s", "cpu_pct": 2.5, "received_at": at(40)})
    again = {"device_id": "a", "site_id": "s", "cpu_pct": 1.5, "received_at": at(3)}
    news = {"device_id": "a", "site_id": "s", "received_at": at(50)}
    body = json.loads(handler([again, news])["body"])
    assert body["updated_devices"] == ["a"]
    row = connection.execute("SELECT cpu_pct, last_seen_ts FROM device_state").fetchone()
    assert row == (2.5, BASE + timedelta(seconds=50))


def test_an_older_heartbeat_changes_nothing_and_is_a_success(handler: Handler, connection: psycopg.Connection) -> None:
    handler({"device_id": "a", "site_id": "new", "status": "ready", "received_at": at(60)})
    before = connection.execute("SELECT * FROM device_state").fetchall()
    answer = handler({"device_id": "a", "site_id": "old", "status": "error", "cpu_pct": 5, "received_at": at(59)})
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["updated_devices"], body["outdated_devices"]) == (200, [], ["a"])
    assert connection.execute("SELECT * FROM device_state").fetchall() == before


def test_a_heartbeat_merged_into_a_later_one_is_updated_with_it(
    handler: Handler, connection: psycopg.Connection
) -> None:
    old, new = (
        {"device_id": "a", "site_id": site, "received_at": at(second)} for site, second in (("s1", 1), ("s2", 2))
    )
    body = json.loads(handler([new, old])["body"])
    assert (body["updated_devices"], body.get("outdated_devices")) == (["a"], None)
    assert connection.execute("SELECT site_id FROM device_state").fetchall() == [("s2",)]


def test_a_stored_time_in_the_future_heals(handler: Handler, connection: psycopg.Connection) -> None:
    """Another program's wrong clock must not make every heartbeat outdated; five minutes are tolerated."""
    handler([{"device_id": "far", "site_id": "s"}, {"device_id": "near", "site_id": "s"}])
    connection.execute(
        "UPDATE device_state SET last_seen_ts = now() + CASE device_id WHEN 'far' THEN interval '6 minutes'"
        " ELSE interval '4 minutes' END"
    )
    body = json.loads(handler([{"device_id": "far", "site_id": "s"}, {"device_id": "near", "site_id": "s"}])["body"])
    assert (body["updated_devices"], body["outdated_devices"]) == (["far"], ["near"])
    healed = connection.execute("SELECT last_seen_ts <= now() FROM device_state WHERE device_id = 'far'").fetchone()
    assert healed == (True,)


@pytest.mark.parametrize("time", ["infinity", "-infinity"])
def test_a_stored_time_that_is_infinite_heals(handler: Handler, connection: psycopg.Connection, time: str) -> None:
    """Servers before 17 cannot subtract from it, and one device's must not make a whole batch fail."""
    batch = [{"device_id": "a", "site_id": "s"}, {"device_id": "b", "site_id": "s"}]
    handler(batch)
    connection.execute("UPDATE device_state SET last_seen_ts = %s WHERE device_id = 'a'", [time])
    assert json.loads(handler(batch)["body"])["updated_devices"] == ["a", "b"]
    assert connection.execute("SELECT count(*) FROM device_state WHERE last_seen_ts <= now()").fetchone() == (2,)
    connection.execute("UPDATE device_state SET last_seen_ts = %s WHERE device_id = 'a'", [time])
    assert json.loads(handler(batch[0])["body"])["updated_devices"] == ["a"]


def test_within_an_event_the_envelopes_order_holds_ahead_of_the_databases_clock_too(
    handler: Handler, connection: psycopg.Connection
) -> None:
    beats = [{"device_id": "a", "site_id": f"s{second}", "received_at": at(86_400 + second)} for second in (9, 30, 2)]
    handler(beats)
    assert connection.execute("SELECT site_id, last_seen_ts <= now() FROM device_state").fetchone() == ("s30", True)


@pytest.mark.parametrize("clock", ["2099-01-01T00:00:00Z", None])
def test_no_heartbeat_is_written_later_than_the_databases_now(
    handler: Handler, connection: psycopg.Connection, clock: str | None
) -> None:
    handler({"device_id": "a", "site_id": "s", "received_at": clock})
    found = connection.execute(
        "SELECT last_seen_ts <= now(), last_seen_ts > now() - interval '1 minute', updated_at = last_seen_ts"
        " FROM device_state"
    ).fetchone()
    assert found == (True, True, True)


def test_a_late_heartbeat_keeps_the_time_of_its_arrival(handler: Handler, connection: psycopg.Connection) -> None:
    """Written an hour later, it must not make a dead device look alive."""
    handler({"device_id": "a", "site_id": "s", "received_at": at(0)})
    assert connection.execute("SELECT last_seen_ts FROM device_state").fetchall() == [(BASE,)]
    assert connection.execute("SELECT device_id FROM v_devices_stale").fetchall() == [("a",)]


def test_ten_thousand_devices_in_random_order_are_one_batch(handler: Handler, connection: psycopg.Connection) -> None:
    devices = [{"device_id": f"d{number}", "site_id": "s", "queue_depth": number} for number in range(10_000)]
    random.Random(1).shuffle(devices)  # noqa: S311 - an order, not a secret
    assert handler({"devices": devices})["statusCode"] == 200
    counted = connection.execute(
        "SELECT count(*), count(DISTINCT updated_at), bool_and(device_id = 'd' || queue_depth) FROM device_state"
    ).fetchone()
    assert counted == (10_000, 1, True)
