"""A database that has the ledger of silence gets the telling beside it."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from hvac_heartbeat.schema import look, migrate, migration, revisions, script
from hvac_heartbeat.schema.parts import TELLING
from tests.database.checkup import writer
from tests.database.invocation import wait_until
from tests.database.ledger_migration import DROPS, HEARTBEATS, RIGHTS, definitions, grant, owner, silences, told
from tests.database.test_ledger_migration import run_psql

if TYPE_CHECKING:
    import psycopg

    from tests.conftest import Database

__all__ = ["owner", "writer"]


def with_the_ledger_alone(database: Database) -> psycopg.Connection:
    """Make what revision 0002 made, and record it."""
    connection = database.connect()
    connection.execute(revisions.script("0002").encode())
    assert (look(connection).recorded, look(connection).ledger.missing) == ("0002", TELLING)
    return connection


def test_a_database_with_the_ledger_gets_the_telling_beside_it(
    empty_database: Database, owner: psycopg.Connection
) -> None:
    migrate(owner)
    with with_the_ledger_alone(empty_database) as connection:
        connection.execute(HEARTBEATS)
        assert migrate(connection).to_create == ("the telling beside the ledger of silence",)
        assert (look(connection).recorded, look(connection).to_create) == ("0003", ())
        assert definitions(connection) == definitions(owner)
        assert len(silences(connection)) == 1


@pytest.mark.parametrize("part", ["silence", "v_in_maintenance", "trigger note_silence"])
def test_what_was_dropped_of_it_meanwhile_is_made_too(
    empty_database: Database, owner: psycopg.Connection, part: str
) -> None:
    migrate(owner)
    with with_the_ledger_alone(empty_database) as connection:
        connection.execute(DROPS[part].encode())
        migrate(connection)
        assert (look(connection).recorded, definitions(connection)) == ("0003", definitions(owner))


def test_the_sql_for_a_database_with_the_ledger_makes_the_telling(
    empty_database: Database, owner: psycopg.Connection
) -> None:
    migrate(owner)
    with with_the_ledger_alone(empty_database) as connection:
        run_psql(empty_database, script(look(connection)))
        assert (look(connection).recorded, look(connection).to_create) == ("0002", ())
        assert definitions(connection) == definitions(owner)
        assert migrate(connection).to_create == ()
        assert look(connection).recorded == "0003"


def test_no_silence_that_ends_meanwhile_is_lost(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "_PAUSE_S", 0.3)
    end_silence = "UPDATE device_state SET last_seen_ts = now() WHERE device_id = %s"
    with (
        with_the_ledger_alone(empty_database) as connection,
        empty_database.connect() as holder,
        empty_database.connect() as other,
    ):
        connection.execute(
            "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
            " VALUES ('a', 'north', now() - interval '10 minutes'), ('b', 'north', now() - interval '10 minutes')"
        )
        migrating = Thread(target=migrate, args=(other,))
        with holder.transaction():
            holder.execute(end_silence, ["a"])
            migrating.start()
            waits = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted"
            wait_until(lambda: bool(connection.execute(waits, [other.info.backend_pid]).fetchall()))
            connection.execute(end_silence, ["b"])
        migrating.join()
        assert sorted(device for device, _ in silences(connection)) == ["a", "b"]
        assert look(connection).recorded == "0003"


def test_a_role_that_may_not_make_it_keeps_the_ledger(owner: psycopg.Connection, writer: str) -> None:
    grant(owner, writer, *RIGHTS)
    told()
    for part in TELLING:
        owner.execute(DROPS[part].encode())
    role = sql.Identifier(writer)
    owner.execute(sql.SQL("REVOKE TRIGGER ON device_state FROM {}").format(role))
    said = told()
    assert f"Did not make the telling beside the ledger of silence: role {writer} may not." in said
    assert f"GRANT TRIGGER ON public.device_state TO {writer};" in said
    grant(owner, writer, "TRIGGER")
    assert "ould create the telling beside the ledger of silence in schema public." in told("--dry-run")
    assert "reated the telling beside the ledger of silence in schema public." in told()
    owner.execute(HEARTBEATS)
    assert owner.execute("SELECT devices, stale FROM sweep()").fetchone() == (1, 0)
