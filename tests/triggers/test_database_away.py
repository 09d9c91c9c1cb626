"""A failure of ours is never a verdict on a heartbeat: HTTP says 503, everyone else raises and is called again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import TABLE_AND_VIEW
from tests.triggers.conftest import Context
from tests.triggers.trigger_samples import NAMELESS, ONE, SAMPLES, TWO, TriggerSample, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database
    from tests.triggers.conftest import Function

GOOD = [ONE, TWO]
RETRIED = [trigger for trigger in SAMPLES.values() if trigger.answers != "http"]
HTTP = [trigger for trigger in SAMPLES.values() if trigger.answers == "http"]

BREAKAGES = {
    "a revoked grant": ("REVOKE INSERT ON device_state FROM {role}", "42501"),
    "a dropped table": ("DROP TABLE device_state CASCADE", "42P01"),
    "a full disk": ("{raising} '53100'; END $$; {trigger}", "53100"),
    "too little memory": ("{raising} '53200'; END $$; {trigger}", "53200"),
    "an internal error": ("{raising} 'XX000'; END $$; {trigger}", "XX000"),
}
RAISING = (
    "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " RAISE EXCEPTION 'secret detail of hvac-001' USING ERRCODE ="
)
TRIGGER = "CREATE TRIGGER break BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION break()"


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


def _check_503(answer: Any) -> None:
    """Check that nothing of ours is in it; the whole answer is in test_http.py."""
    assert answer["statusCode"] == 503
    assert not re.search(r"tmp|postgres|hvac_|SELECT|INSERT|Traceback|HEARTBEAT_", str(answer))


def test_every_trigger_on_a_stopped_server_and_again_when_it_is_back(
    stopped: PostgresServer, function: Function
) -> None:
    hurry = Context(seconds=1.0)
    for trigger in HTTP:
        _check_503(function(trigger.event(GOOD), hurry))
    for trigger in RETRIED:
        with pytest.raises(StoreUnavailable):
            function(trigger.event(GOOD), hurry)
    for name in ("schedule", "scheduler"):
        with pytest.raises(StoreUnavailable):
            function(sample(name), hurry)
    lines = function.log()
    assert len(lines) == len(SAMPLES) + 2
    assert all(line["failure"] and line["rejected"] == 0 for line in lines)
    assert sum(line["failed"] for line in lines) == len(GOOD) * len(SAMPLES)
    stopped.start()
    for trigger in SAMPLES.values():
        assert function(trigger.event(GOOD)).get("statusCode", 200) == 200


@pytest.mark.parametrize("trigger", SAMPLES.values(), ids=SAMPLES.keys())
def test_unusable_settings_are_a_failure_that_names_the_variables(
    trigger: TriggerSample, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_NEW_DEVICES", "perhaps")
    event = trigger.event(GOOD)
    if trigger.answers == "http":
        _check_503(function(event))
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
    for trigger in SAMPLES.values():
        event = trigger.event([*GOOD, NAMELESS])
        if trigger.answers == "http":
            answer = function(event)
            assert answer["statusCode"] == 503
            assert [found["index"] for found in answer["body"]["rejected"]] == [2]
            assert "secret" not in str(answer["body"])
        else:
            with pytest.raises(StoreUnavailable) as raised:
                function(event)
            assert raised.value.sqlstate == sqlstate
            assert "secret" not in str(raised.value)
    for line in function.log():
        assert line["message"] == "heartbeat rejected" or (line["failed"], line["sqlstate"]) == (2, sqlstate)


def test_a_part_of_a_large_event_that_failed_fails_its_own_messages_only(
    function: Function, seen: Callable[[], dict[str, Any]], connection: psycopg.Connection
) -> None:
    """The disk is full as soon as device `z` is written: in the second part of an event of more than 10,000."""
    guarded = RAISING.replace("BEGIN", "BEGIN IF new.device_id <> 'z' THEN RETURN new; END IF;")
    connection.execute(f"{guarded} '53100'; END $$; {TRIGGER}".encode())
    many = {"devices": [{"device_id": f"d{number}", "site_id": "s"} for number in range(10_000)]}
    event = SAMPLES["sqs"].event([many, {"device_id": "z", "site_id": "s"}])
    assert function(event) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert len(seen()) == 10_000
