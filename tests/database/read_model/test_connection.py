"""The connection that is read from: what it may do, and what becomes of it."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.read_model.connection import ReadConnection
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from hvac_heartbeat.local.read_model.connection import Snapshot
    from tests.conftest import Database
    from tests.database.read_model.conftest import Fleet

_OURS = "application_name = 'hvac-heartbeat' AND datname = current_database()"


def test_a_connection_that_was_lost_is_replaced_within_the_answer(fleet: Fleet, model: ReadModel) -> None:
    fleet.beat("a", "north", 1)
    for _ in range(2):
        assert model.fleet().devices == 1
        ended = fleet.connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}")  # noqa: S608
        assert ended.rowcount == 1


def test_nothing_can_be_written(fleet: Fleet, environment: dict[str, str]) -> None:
    reading = ReadConnection(Settings.from_environment(environment), 5)
    with pytest.raises(StoreUnavailable):
        reading.read(lambda found: found._run("DELETE FROM device_state", ()))
    reading.close()


def test_an_answer_is_of_one_moment(fleet: Fleet, environment: dict[str, str]) -> None:
    def ask_twice(found: Snapshot) -> list[int]:
        before = found.row("fleet")["devices"]
        fleet.beat("a", "north", 1)
        return [before, found.row("fleet")["devices"]]

    reading = ReadConnection(Settings.from_environment(environment), 5)
    assert reading.read(ask_twice) == [0, 0]
    assert reading.read(lambda found: found.row("fleet")["devices"]) == 1
    reading.close()


def test_a_database_that_does_not_answer_costs_everybody_one_wait(fleet: Fleet, environment: dict[str, str]) -> None:
    reading = ReadConnection(Settings.from_environment(environment), 0.3)
    said = []

    def ask() -> None:
        try:
            reading.read(lambda found: found.row("fleet"))
        except StoreUnavailable as error:
            said.append(str(error))

    with fleet.connection.transaction():
        fleet.connection.execute("LOCK TABLE device_state")
        started = time.monotonic()
        threads = [Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        waited = time.monotonic() - started
    assert said == ["the database did not answer in time"] * 20
    assert waited < 3, "20 of them one after the other would have waited for 6 s"
    time.sleep(1.1)
    assert reading.read(lambda found: found.row("fleet"))["devices"] == 0
    # The statement that took too long was cancelled.
    busy = fleet.connection.execute(f"SELECT FROM pg_stat_activity WHERE {_OURS} AND state = 'active'")
    assert busy.rowcount == 0
    reading.close()


def test_a_database_that_is_away_is_said_without_a_secret_or_a_host(environment: dict[str, str]) -> None:
    away = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "hush-hush"}
    model = ReadModel(Settings.from_environment(away))
    with pytest.raises(StoreUnavailable) as said:
        model.fleet()
    assert "127.0.0.1" not in str(said.value)
    assert "hush" not in said.value.in_full
    assert "127.0.0.1:1" in said.value.in_full
    assert model.worst_this_month() is None


def test_a_table_that_is_missing_is_said_too(empty_database: Database, environment: dict[str, str]) -> None:
    model = ReadModel(Settings.from_environment(environment | {"DB_NAME": empty_database.name}))
    with pytest.raises(StoreUnavailable, match="device_state or v_devices_stale is not there"):
        model.fleet()
    model.close()


def test_an_end_does_not_wait_for_an_answer_that_takes_long(fleet: Fleet, environment: dict[str, str]) -> None:
    reading = ReadConnection(Settings.from_environment(environment), 20)
    has_begun = Event()

    def ask(found: Snapshot) -> None:
        has_begun.set()
        found.row("fleet")

    with fleet.connection.transaction():
        fleet.connection.execute("LOCK TABLE device_state")
        waiting = Thread(target=reading.read, args=[ask])
        waiting.start()
        assert has_begun.wait(5)
        started = time.monotonic()
        reading.close()
        assert time.monotonic() - started < 5
    waiting.join()
    reading.close()
