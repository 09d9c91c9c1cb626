"""A migration that meets a lock on the table, or another migration."""

from __future__ import annotations

from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.schema import Outcome, SchemaError, look, migrate, migration, script
from hvac_heartbeat.schema.revisions import VERSION_TABLE
from tests.database.invocation import wait_until
from tests.database.ledger_migration import owner

if TYPE_CHECKING:
    import psycopg

    from tests.conftest import Database

__all__ = ["owner"]


def write_heartbeats(database: Database, stop: Event, seconds: list[float]) -> None:
    """Write one heartbeat after another, and note how long each took."""
    with database.connect() as connection:
        while not stop.is_set():
            began = monotonic()
            connection.execute("UPDATE device_state SET last_seen_ts = now() WHERE device_id = 'a'")
            seconds.append(monotonic() - began)
            sleep(0.01)


def test_a_long_transaction_makes_it_give_up_and_no_heartbeat_wait_for_long(
    database: Database, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_PAUSE_S", 0.3)
    owner.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('a', 'north', now())")
    stop, seconds = Event(), list[float]()
    with database.connect() as holder:
        heartbeats = Thread(target=write_heartbeats, args=(database, stop, seconds))
        with holder.transaction():
            holder.execute("LOCK device_state IN ROW EXCLUSIVE MODE")
            heartbeats.start()
            try:
                with pytest.raises(SchemaError) as refusal:
                    migrate(owner)
            finally:
                stop.set()
                heartbeats.join()
            said = str(refusal.value)
            assert f"device_state was locked 5 times, the longest by process {holder.info.backend_pid}" in said
            assert look(owner).ledger.is_new
    # Each try holds them up for the half second that it waits, and they get through in each pause.
    assert 0.3 < max(seconds) < 2.5
    assert sum(took < 0.3 for took in seconds) > 20
    assert migrate(owner).to_create == ("the ledger of silence",)


def test_a_lock_that_ends_in_time_is_waited_for(database: Database, owner: psycopg.Connection) -> None:
    made: list[tuple[str, ...]] = []
    with database.connect() as other, database.connect() as holder:
        migrating = Thread(target=lambda: made.append(migrate(other).to_create))
        with holder.transaction():
            holder.execute("LOCK device_state IN ROW EXCLUSIVE MODE")
            migrating.start()
            sleep(1)
        migrating.join()
    assert made == [("the ledger of silence",)]


def test_whoever_waited_for_another_migration_looks_after_it_has_ended(
    database: Database, owner: psycopg.Connection
) -> None:
    done: list[tuple[Outcome, tuple[str, ...]]] = []

    def migrate_too() -> None:
        with database.connect() as other:
            plan = migrate(other)
            done.append((plan.outcome, plan.to_create))

    second = Thread(target=migrate_too)
    with owner.transaction():
        owner.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('{VERSION_TABLE}', 0))".encode())
        second.start()
        waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: bool(owner.execute(waits).fetchall()))
        owner.execute("SAVEPOINT first")
        text = script(look(owner)).removeprefix("BEGIN;\n").removesuffix("COMMIT;\n")
        owner.execute(f"{text}; CREATE TABLE {VERSION_TABLE} AS SELECT '0003' AS version_num".encode())
    second.join()
    assert done == [(Outcome.CURRENT, ())]
