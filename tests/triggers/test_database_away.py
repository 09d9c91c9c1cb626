"""A failure of ours is never a verdict on a heartbeat: HTTP says 503, everyone else raises and is called again."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import TABLE_AND_VIEW
from tests.triggers.conftest import Context
from tests.triggers.trigger_samples import SAMPLES, TriggerSample, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database
    from tests.triggers.conftest import Function

GOOD = [{"device_id": device, "site_id": "building-a"} for device in ("d1", "d2")]
BAD = {"site_id": "building-a"}
RETRIED = [kind for kind in SAMPLES.values() if kind.answers != "http"]
HTTP = [kind for kind in SAMPLES.values() if kind.answers == "http"]

BREAKAGES = {
    "a revoked grant": ("REVOKE INSERT ON device_state FROM {role}", "42501"),
    "a dropped table": ("DROP TABLE device_state CASCADE", "42P01"),
    "a full disk": ("{raising} '53100'; END $$; {trigger}", "53100"),
    "too little memory": ("{raising} '53200'; END $$; {trigger}", "53200"),
    "an internal error": ("{raising} 'XX000'; END $$; {trigger}", "XX000"),
}
RAISING = (
    "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " RAISE EXCEPTION 'secret detail of d1' USING ERRCODE ="
)
TRIGGER = "CREATE TRIGGER break BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION break()"


def _now() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that only this file uses, and stops."""
    bindir = os.environ.get("TEST_POSTGRES_BINDIR")
    with PostgresServer(Path(bindir) if bindir else None) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(TABLE_AND_VIEW)
        yield server


@pytest.fixture
def stopped(
    own_server: PostgresServer, function: Function, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostgresServer]:
    """That server, stopped under the function's warm connection."""
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    handler.reset()
    function(GOOD[0])
    own_server.stop()
    function.log()
    yield own_server
    if own_server.pid is None:
        own_server.start()


def _check_503(answer: Any, kind: TriggerSample) -> None:
    headers = answer.get("headers") or {name: value for name, (value,) in answer["multiValueHeaders"].items()}
    assert answer["statusCode"] == 503
    assert headers["retry-after"].isdigit()
    assert headers["content-type"] == "application/json"
    assert not re.search(r"tmp|postgres|hvac_|SELECT|INSERT|Traceback|HEARTBEAT_", answer["body"])
    body = json.loads(answer["body"])
    assert body["updated_devices"] == []
    assert "rejected" not in body
    assert body["message"] == "The database cannot be reached: send these heartbeats again"
    assert answer.get("statusDescription", "") == ("503 Service Unavailable" if "load" in kind.name else "")


def test_every_trigger_on_a_stopped_server_and_again_when_it_is_back(
    stopped: PostgresServer, function: Function
) -> None:
    hurry = Context(seconds=1.0)
    for kind in HTTP:
        _check_503(function(kind.event(GOOD, _now()), hurry), kind)
    for kind in RETRIED:
        with pytest.raises(StoreUnavailable):
            function(kind.event(GOOD, _now()), hurry)
    for name in ("schedule", "scheduler"):
        with pytest.raises(StoreUnavailable):
            function(sample(name), hurry)
    lines = function.log()
    assert len(lines) == len(SAMPLES) + 2
    assert all(line["failure"] and line["rejected"] == 0 for line in lines)
    assert sum(line["failed"] for line in lines) == len(GOOD) * len(SAMPLES)
    stopped.start()
    for kind in SAMPLES.values():
        assert function(kind.event(GOOD, _now())).get("statusCode", 200) == 200


def test_a_cold_container_finds_no_server(stopped: PostgresServer, function: Function) -> None:
    handler.reset()
    with pytest.raises(StoreUnavailable):
        function(GOOD[0], Context(seconds=1.0))
    _check_503(function(SAMPLES["http-api"].event(GOOD, _now()), Context(seconds=1.0)), SAMPLES["http-api"])


@pytest.mark.parametrize("kind", SAMPLES.values(), ids=SAMPLES.keys())
def test_unusable_settings_are_a_failure_that_names_the_variables(
    kind: TriggerSample, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_NEW_DEVICES", "perhaps")
    event = kind.event(GOOD, _now())
    if kind.answers == "http":
        _check_503(function(event), kind)
    else:
        with pytest.raises(StoreUnavailable, match="HEARTBEAT_NEW_DEVICES"):
            function(event)
    (line,) = function.log()
    assert "HEARTBEAT_NEW_DEVICES" in line["failure"]


@pytest.fixture
def writer(database: Database, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A role that owns nothing and may do what the function needs, as the function's own user."""
    role = database.name + "_writer"
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
        admin.execute(f"GRANT SELECT, INSERT, UPDATE ON device_state TO {role}")
        monkeypatch.setenv("DB_USER", role)
        monkeypatch.setenv("DB_PASSWORD", "p")
        yield role
        handler.reset()
        admin.execute(f"DROP OWNED BY {role}")
        admin.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_says_something_about_us_is_failed_and_never_rejected(
    breakage: str, function: Function, writer: str, connection: psycopg.Connection
) -> None:
    function({"device_id": "before", "site_id": "s"})
    statement, sqlstate = BREAKAGES[breakage]
    connection.execute(statement.format(role=writer, raising=RAISING, trigger=TRIGGER).encode())
    function.log()
    for kind in SAMPLES.values():
        event = kind.event([*GOOD, BAD], _now())
        if kind.answers == "http":
            answer = function(event)
            assert answer["statusCode"] == 503
            assert [found["index"] for found in json.loads(answer["body"])["rejected"]] == [2]
            assert "secret" not in answer["body"]
        else:
            with pytest.raises(StoreUnavailable) as raised:
                function(event)
            assert raised.value.sqlstate == sqlstate
            assert "secret" not in str(raised.value)
    for line in function.log():
        assert line["message"] == "heartbeat rejected" or (line["failed"], line["sqlstate"]) == (2, sqlstate)


@pytest.fixture
def _full_for_z(connection: psycopg.Connection) -> None:
    """A disk that is full as soon as device `z` is written: the second part of a batch of more than 10,000."""
    guarded = RAISING.replace("BEGIN", "BEGIN IF new.device_id <> 'z' THEN RETURN new; END IF;")
    connection.execute(f"{guarded} '53100'; END $$; {TRIGGER}".encode())


@pytest.mark.usefixtures("_full_for_z")
def test_of_a_queue_the_messages_that_failed_come_again_and_the_others_are_done(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    many = {"devices": [{"device_id": f"d{number}", "site_id": "s"} for number in range(10_000)]}
    event = SAMPLES["sqs"].event([many, {"device_id": "z", "site_id": "s"}, BAD], _now())
    assert function(event) == {"batchItemFailures": [{"itemIdentifier": f"message-{index}"} for index in (1, 2)]}
    assert len(seen()) == 10_000
    del event["Records"][1]["messageId"]
    with pytest.raises(StoreUnavailable):  # it could not be reported, and would be gone
        function(event)


@pytest.mark.usefixtures("_full_for_z")
@pytest.mark.parametrize("name", ["kinesis", "kafka-msk"])
def test_a_stream_comes_again_when_anything_failed(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    heartbeats = [{"device_id": f"d{number}", "site_id": "s"} for number in range(10_000)]
    with pytest.raises(StoreUnavailable):
        function(SAMPLES[name].event([{"devices": heartbeats}, {"device_id": "z", "site_id": "s"}], _now()))
    assert len(seen()) == 10_000


@pytest.mark.parametrize("name", ["sns", "eventbridge"])
def test_an_asynchronous_event_comes_again_when_anything_failed(
    name: str, function: Function, seen: Callable[[], dict[str, Any]], connection: psycopg.Connection
) -> None:
    guarded = RAISING.replace("BEGIN", "BEGIN IF new.device_id <> 'z' THEN RETURN new; END IF;")
    connection.execute(f"{guarded} 'P0001'; END $$; {TRIGGER}".encode())
    with pytest.raises(StoreUnavailable):
        function(SAMPLES[name].event([{"device_id": device, "site_id": "s"} for device in ("a", "z", "b")], _now()))
    assert set(seen()) == {"a", "b"}


def test_no_message_got_through_so_the_queue_keeps_them_even_without_partial_responses(
    function: Function, connection: psycopg.Connection
) -> None:
    connection.execute("DROP TABLE device_state CASCADE")
    with pytest.raises(StoreUnavailable):
        function(SAMPLES["sqs"].event([GOOD[0], BAD], _now()))
