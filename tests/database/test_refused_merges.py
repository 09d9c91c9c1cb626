"""Of several heartbeats of one device in a batch the database refuses some: the others are not lost with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvac_heartbeat.aws import handler as wiring

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


def _count(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the statements that the warm container will have sent."""
    assert wiring._container is not None
    sent: list[bytes] = []
    execute = wiring._container.database.execute

    def counted(statement: bytes, *arguments: Any) -> PGresult:
        sent.append(statement)
        return execute(statement, *arguments)

    monkeypatch.setattr(wiring._container.database, "execute", counted)
    return sent


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
        (heartbeat(1, cpu_pct=150), heartbeat(2)),
        (heartbeat(2, cpu_pct=150), heartbeat(1, cpu_pct=50)),
    ],
    ids=["unknown site after", "refused value before", "refused value after"],
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


def test_a_site_that_is_refused_costs_a_statement_and_not_one_a_heartbeat(
    handler: Handler, strict: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record with thousands of them must not outlast the invocation, or it would hold up its shard for ever."""
    handler(heartbeat(0, site_id="unknown"))  # the key is foreseen from now on
    bad = [heartbeat(second, site_id=f"unknown{second % 2}") for second in range(1, 2_000)]
    good = [heartbeat(100, cpu_pct=50), heartbeat(200, status="ready"), heartbeat(300, site_id="known")]
    sent = _count(monkeypatch)
    body = json.loads(handler([*bad, *good])["body"])
    assert (body["updated_devices"], body["rejected_count"], len(sent)) == (["a"], len(bad), 3)
    rows = strict.execute("SELECT last_seen_ts, status, cpu_pct FROM device_state").fetchall()
    assert rows == [(BASE + timedelta(seconds=300), "ready", 50)]


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
    assert [found["index"] for found in at_once["rejected"]] == refused


def test_a_device_that_is_refused_itself_is_not_tried_again_heartbeat_by_heartbeat(
    handler: Handler, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers are the steady state of such a database: they may not cost a statement a heartbeat."""
    connection.execute("CREATE TABLE devices (device_id text PRIMARY KEY); INSERT INTO devices VALUES ('b')")
    connection.execute("ALTER TABLE device_state ADD FOREIGN KEY (device_id) REFERENCES devices")
    batch = [heartbeat(second, device_id="stranger") for second in range(50)] + [heartbeat(99, device_id="b")]
    handler(batch)
    sent = _count(monkeypatch)
    body = json.loads(handler(batch)["body"])
    assert (body["updated_devices"], len(body["rejected"]), len(sent)) == (["b"], 50, 1)
