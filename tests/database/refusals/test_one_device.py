"""Of several heartbeats of one device in a batch the database refuses some: the others are not lost with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvac_heartbeat.store import database as store_database

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from psycopg.pq.abc import PGresult

    Handler = Callable[[object], Any]

STATUS = st.sampled_from(["ready", "degraded", "error"])
LOAD = st.sampled_from([5, 50])
BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def heartbeat(second: int, **said: object) -> dict[str, object]:
    return {"device_id": "a", "site_id": "known", "received_at": (BASE + timedelta(seconds=second)).isoformat()} | said


@pytest.fixture
def statements(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the statements that the container has sent."""
    sent = []
    execute = store_database.Database.execute

    def counted(self: store_database.Database, statement: bytes, *arguments: Any) -> PGresult:
        sent.append(statement)
        return execute(self, statement, *arguments)

    monkeypatch.setattr(store_database.Database, "execute", counted)
    return lambda: len(sent)


@pytest.fixture
def strict(connection: psycopg.Connection) -> psycopg.Connection:
    """A table that knows one site, and no load over 100 percent."""
    connection.execute("CREATE TABLE sites (site_id text PRIMARY KEY); INSERT INTO sites VALUES ('known')")
    connection.execute("ALTER TABLE device_state ADD CONSTRAINT a_known_site FOREIGN KEY (site_id) REFERENCES sites")
    connection.execute("ALTER TABLE device_state ADD CONSTRAINT at_most_100 CHECK (cpu_pct <= 100)")
    return connection


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (heartbeat(2, site_id="unknown"), heartbeat(1)),
        (heartbeat(2, site_id="unknown", cpu_pct=5), heartbeat(1, cpu_pct=50)),
    ],
    ids=["the newest is refused", "the newest is refused and says more"],
)
def test_what_one_by_one_would_have_written_is_written(
    handler: Handler, strict: psycopg.Connection, bad: dict[str, object], good: dict[str, object]
) -> None:
    """A live device must not be called dead because another heartbeat of its own was refused."""
    other = {"device_id": "b", "site_id": "known"}
    answer = handler([bad, other, good])
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["updated_devices"]) == (207, ["b", "a"])
    assert [found["index"] for found in body["rejected"]] == [0]
    rows = strict.execute("SELECT last_seen_ts, site_id, cpu_pct FROM device_state WHERE device_id = 'a'").fetchall()
    assert rows == [(datetime.fromisoformat(str(good["received_at"])), "known", good.get("cpu_pct"))]


def test_many_refused_sites_of_one_device_cost_few_statements(
    handler: Handler, strict: psycopg.Connection, statements: Callable[[], int]
) -> None:
    """One record with thousands of them must not outlast the invocation, or it would hold up its shard for ever."""
    handler(heartbeat(0))
    bad = [heartbeat(second, site_id=f"unknown{second}") for second in range(1, 2_000)]
    other = {"device_id": "b", "site_id": "known"}
    before = statements()
    body = json.loads(handler([*bad, other])["body"])
    assert (body["updated_devices"], body["rejected_count"]) == (["b"], len(bad))
    assert statements() - before <= 12


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sites=st.lists(st.sampled_from(["known", "other", "bad1", "bad2"]), min_size=1, max_size=8),
    last=st.sampled_from(["bad1", "bad3"]),
    said=st.lists(st.fixed_dictionaries({}, optional={"status": STATUS, "cpu_pct": LOAD}), min_size=9, max_size=9),
)
def test_what_is_refused_as_one_ends_as_one_by_one(
    handler: Handler, strict: psycopg.Connection, sites: list[str], last: str, said: list[dict[str, object]]
) -> None:
    strict.execute("INSERT INTO sites VALUES ('other') ON CONFLICT DO NOTHING")
    event = [heartbeat(second, site_id=site) | said[second] for second, site in enumerate([*sites, last])]

    def rows() -> list[Any]:
        return strict.execute("SELECT site_id, last_seen_ts, status, cpu_pct FROM device_state").fetchall()

    strict.execute("TRUNCATE device_state")
    refused = [index for index, one in enumerate(event) if json.loads(handler(one)["body"]).get("rejected")]
    one_by_one = rows()
    strict.execute("TRUNCATE device_state")
    at_once = json.loads(handler(event)["body"])
    assert rows() == one_by_one
    rejected = {found["index"] for found in at_once["rejected"]}
    assert len(event) - 1 in rejected
    assert rejected <= set(refused)  # one that says nothing that a newer one does not say is written with that one


def test_a_device_that_is_refused_itself_is_not_tried_again_heartbeat_by_heartbeat(
    handler: Handler, connection: psycopg.Connection, statements: Callable[[], int]
) -> None:
    """Strangers are the steady state of such a database: they may not cost a statement a heartbeat."""
    connection.execute("CREATE TABLE devices (device_id text PRIMARY KEY); INSERT INTO devices VALUES ('b')")
    connection.execute("ALTER TABLE device_state ADD FOREIGN KEY (device_id) REFERENCES devices")
    batch = [heartbeat(second, device_id="stranger") for second in range(50)] + [heartbeat(99, device_id="b")]
    handler(batch)
    before = statements()
    body = json.loads(handler(batch)["body"])
    assert (body["updated_devices"], len(body["rejected"]), statements() - before) == (["b"], 50, 2)
