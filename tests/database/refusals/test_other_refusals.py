"""What a database may refuse beside foreign keys: each costs the row that it is about, and no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.database import Database
from tests.database.refusals.foreign_key_schema import Fleet, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from psycopg.pq.abc import PGresult

    Handler = Callable[[object], Any]

RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.device_id LIKE 'bad%' THEN RAISE EXCEPTION 'not this one'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION refuse();
"""
LOWER = """
CREATE FUNCTION lower_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    new.device_id := lower(new.device_id);
    RETURN new;
END $$;
CREATE TRIGGER lower_id BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION lower_id();
"""
CITEXT = """
CREATE EXTENSION citext;
DROP VIEW v_devices_stale;
ALTER TABLE device_state ALTER device_id TYPE citext;
"""
POLICY = """
ALTER TABLE device_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY reads ON device_state FOR SELECT USING (true);
CREATE POLICY writes ON device_state FOR INSERT WITH CHECK (device_id NOT LIKE 'bad%');
CREATE POLICY changes ON device_state FOR UPDATE USING (true);
"""


def _beats(*devices: str, **said: object) -> list[dict[str, object]]:
    return [{"device_id": device, "site_id": "s"} | said for device in devices]


def _many(bad: str) -> list[dict[str, object]]:
    return _beats(*(f"d{n:03}" for n in range(200)), bad)


def _sqs(bodies: list[dict[str, object]]) -> dict[str, object]:
    """One message each, so that the failures of single heartbeats can be read off the answer."""
    records = [
        {"messageId": body["device_id"], "eventSource": "aws:sqs", "body": json.dumps(body), "attributes": {}}
        for body in bodies
    ]
    return {"Records": records}


@pytest.mark.parametrize("change", [CITEXT, LOWER], ids=["citext", "a trigger that lowercases"])
def test_two_spellings_that_the_database_takes_for_one_are_both_written(
    handler: Handler, connection: psycopg.Connection, change: str
) -> None:
    """PostgreSQL touches no row twice in one statement (21000), so they go in two; the batch is not lost with them."""
    connection.execute(change)
    answer = handler([*_many("D007"), *_beats("x")])
    body = json.loads(answer["body"])
    assert (answer["statusCode"], len(body["updated_devices"])) == (200, 202)
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (201,)


def test_a_row_that_a_trigger_refuses_fails_alone(handler: Handler, connection: psycopg.Connection) -> None:
    """P0001 is somebody's own rule, which may be another one tomorrow."""
    connection.execute(RAISE)
    for _ in range(2):
        assert handler(_sqs(_many("bad"))) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (200,)


def test_a_row_that_a_policy_refuses_fails_alone(as_role: Callable[[str], Fleet], parents: psycopg.Connection) -> None:
    parents.execute("INSERT INTO devices VALUES ('bad', 'north')")
    parents.execute(POLICY)
    fleet = as_role("GRANT SELECT, INSERT, UPDATE ON device_state TO {role}")
    for _ in range(2):
        result = fleet.write(*(f"d{n}" for n in range(1, 51)), "bad")
        assert (result.failed, result.rejected) == ({"bad"}, {})
    assert len(stored(parents)) == 50


@pytest.mark.parametrize("column", ["owner", "received_at"])
def test_a_column_that_nobody_fills_fails_everything_and_rejects_nobody(
    handler: Handler, connection: psycopg.Connection, column: str
) -> None:
    """23502 on a column that is not ours is about us. PostgreSQL asks for it before ON CONFLICT: known devices too."""
    handler(_beats("a"))
    connection.execute(f"ALTER TABLE device_state ADD {column} text NOT NULL DEFAULT 'x'")
    connection.execute(f"ALTER TABLE device_state ALTER {column} DROP DEFAULT")
    with pytest.raises(StoreUnavailable) as raised:
        handler(_beats("a", "b"))
    assert raised.value.sqlstate == "23502"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER agent_version TYPE varchar(5)", {"agent_version": "1.2.3-rc4"}),
        ("ALTER disk_free_gb TYPE numeric(4,2)", {"disk_free_gb": 512.5}),
        ("ALTER queue_depth TYPE smallint", {"queue_depth": 40_000}),
        ("ADD CONSTRAINT at_most_100 CHECK (cpu_pct <= 100)", {"cpu_pct": 101}),
    ],
    ids=["varchar", "numeric", "smallint", "check"],
)
def test_a_metric_that_the_table_has_no_room_for_costs_no_heartbeat(
    handler: Handler, connection: psycopg.Connection, change: str, said: dict[str, object]
) -> None:
    """It is written without its optional fields, and each of them is named; the next good one is taken whole."""
    connection.execute(f"ALTER TABLE device_state {change}")
    for _ in range(2):
        answer = handler([*_beats("a", poll_interval_s=60, **said), *_beats("b", "c", cpu_pct=5)])
        body = json.loads(answer["body"])
        assert (answer["statusCode"], body["updated_devices"]) == (200, ["a", "b", "c"])
        assert {(found["index"], found["field"]) for found in body["ignored_fields"]} == {
            (0, "poll_interval_s"),
            *((0, field) for field in said),
        }
    assert connection.execute("SELECT poll_interval_s FROM device_state WHERE device_id = 'a'").fetchone() == (None,)
    handler(_beats("a", "b", poll_interval_s=60))
    assert connection.execute("SELECT poll_interval_s FROM device_state WHERE device_id = 'a'").fetchone() == (60,)


def test_a_table_that_wants_a_metric_takes_the_heartbeats_that_have_it(
    handler: Handler, connection: psycopg.Connection
) -> None:
    connection.execute("ALTER TABLE device_state ALTER cpu_pct SET NOT NULL")
    body = json.loads(handler([*_beats("a"), *_beats("b", cpu_pct=5)])["body"])
    assert body["updated_devices"] == ["b"]
    assert [(found["device_id"], found["field"]) for found in body["rejected"]] == [("a", "cpu_pct")]


def test_an_id_that_is_too_long_for_the_column_is_rejected_alone(
    handler: Handler, connection: psycopg.Connection
) -> None:
    connection.execute("DROP VIEW v_devices_stale; ALTER TABLE device_state ALTER device_id TYPE varchar(8)")
    body = json.loads(handler(_many("far too long"))["body"])
    assert (len(body["updated_devices"]), [found["device_id"] for found in body["rejected"]]) == (200, ["far too long"])
    assert "22001" in body["rejected"][0]["reason"]


def test_a_column_that_pads_costs_no_statement_more(
    handler: Handler, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("DROP VIEW v_devices_stale; ALTER TABLE device_state ALTER device_id TYPE char(64)")
    handler(_beats(*(f"{number}" for number in range(0, 1_000, 10)), received_at="2026-01-02T00:00:00Z"))
    sent = []
    execute = Database.execute

    def counted(*arguments: Any) -> PGresult:
        sent.append(arguments)
        return execute(*arguments)

    monkeypatch.setattr(Database, "execute", counted)
    body = json.loads(handler(_beats(*map(str, range(1_000)), received_at="2026-01-01T00:00:00Z"))["body"])
    assert (len(body["updated_devices"]), len(body["outdated_devices"])) == (900, 100)
    assert [b"INSERT" in statement for _, statement, *_ in sent] == [True, False]  # the other one is for the ledger


@pytest.mark.parametrize("kind", ["citext", "char(12)"])
@pytest.mark.parametrize("new_devices", ["accept", "reject"])
def test_a_column_that_spells_otherwise_changes_no_verdict(
    connection: psycopg.Connection,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    new_devices: str,
) -> None:
    """char(n) pads and citext keeps the first spelling; a valid device in another spelling is no new one."""
    connection.execute("CREATE EXTENSION citext; DROP VIEW v_devices_stale")
    connection.execute(f"ALTER TABLE device_state ALTER device_id TYPE {kind}")
    connection.execute(
        "INSERT INTO device_state SELECT 'Dev-' || n, 's', now() - interval '1 day' FROM generate_series(1, 20) AS n"
    )
    request.getfixturevalue("environment")
    monkeypatch.setenv("HEARTBEAT_NEW_DEVICES", new_devices)
    handler: Handler = request.getfixturevalue("handler")
    spelled = "DEV-{}" if kind == "citext" else "Dev-{}"
    batch = [
        {"device_id": spelled.format(n), "site_id": "s", "received_at": "2020-01-01T00:00:00Z" if n % 3 == 0 else None}
        for n in range(1, 21)
    ]
    answer = handler([*batch, *_beats("new")])
    body = json.loads(answer["body"])
    assert set(body["outdated_devices"]) == {spelled.format(n) for n in range(3, 21, 3)}
    assert ("new" in body["updated_devices"]) == (new_devices == "accept")
    assert [found["device_id"] for found in body.get("rejected", [])] == ["new"] * (new_devices == "reject")
    assert len(body["updated_devices"]) == 14 + (new_devices == "accept")
