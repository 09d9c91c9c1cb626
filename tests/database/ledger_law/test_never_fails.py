"""Whatever is wrong with the ledger, heartbeats are written and answered as ever, and a log says what it lacks.

The trigger tells the server's log (a WARNING, which it logs by default), the function its own.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.errors import StoreUnavailable
from tests.database.ledger_law.conftest import NOW, RETURNING, beat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database
    from tests.database.ledger_law.conftest import Function

pytestmark = pytest.mark.slow

# As a full disk would; a full tablespace cannot be had without one.
FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE disk_full USING MESSAGE = 'No space left on device'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT OR DELETE ON silence FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
CREATE TRIGGER full_disk BEFORE INSERT ON first_heartbeat FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
"""
OWNER_WITHOUT_RIGHTS = """
ALTER FUNCTION note_silence() OWNER TO {nobody};
ALTER FUNCTION note_late_heartbeats OWNER TO {nobody};
"""

EVERYBODY = [beat(f"r{number}", -10) for number in range(RETURNING)]
LATE = [beat("r0", -300), beat("r1", -300)]  # within the silence that the trigger noted, if it did


def written(connection: psycopg.Connection) -> int:
    found = connection.execute(
        "SELECT count(*) FROM device_state WHERE last_seen_ts = %s", [NOW - timedelta(seconds=10)]
    )
    return int((found.fetchone() or (0,))[0])


def silences(connection: psycopg.Connection) -> int:
    return int((connection.execute("SELECT count(*) FROM silence").fetchone() or (0,))[0])


def check(function: Function, connection: psycopg.Connection) -> str | None:
    """Have everybody and somebody new come, then some that are late; return what the log says of these."""
    answer, _ = function.send(*EVERYBODY, beat("new", -10))
    assert (len(answer["updated_devices"]), answer.get("outdated_devices")) == (RETURNING + 1, None)
    assert written(connection) == RETURNING + 1
    answer, reason = function.send(*LATE)
    assert answer["outdated_devices"] == ["r0", "r1"]
    answer, again = function.send(*LATE)
    assert answer["outdated_devices"] == ["r0", "r1"]
    assert again is None  # a ledger that cannot take them is left alone for a while
    return reason


@pytest.mark.usefixtures("ledger")
def test_a_role_without_any_right_on_the_ledger_keeps_it(function: Function, connection: psycopg.Connection) -> None:
    assert check(function, connection) is None
    assert function.warnings == []
    assert silences(connection) == RETURNING + 2


def test_without_a_ledger_nothing_is_said(function: Function, connection: psycopg.Connection) -> None:
    assert check(function, connection) is None
    assert function.warnings == []


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("breakage", "warning", "reason"),
    [
        pytest.param("DROP TRIGGER note_silence ON device_state", None, None, id="trigger dropped"),
        pytest.param(
            "DROP TABLE silence CASCADE", '"silence" does not exist', "(SQLSTATE 42704)", id="silence dropped"
        ),
        pytest.param(
            "DROP TABLE first_heartbeat CASCADE", '"first_heartbeat" does', "(SQLSTATE 42P01)", id="the other dropped"
        ),
        pytest.param(OWNER_WITHOUT_RIGHTS, "permission denied", "(SQLSTATE 42501)", id="owner without rights"),
        pytest.param(FULL, "No space left on device", None, id="disk full"),
        pytest.param("ALTER TABLE silence ADD CHECK (false)", "violates check constraint", None, id="a check"),
        pytest.param("ALTER TABLE silence DROP COLUMN site_id CASCADE", '"site_id"', None, id="a column dropped"),
    ],
)
def test_a_broken_ledger_fails_no_heartbeat(
    function: Function,
    connection: psycopg.Connection,
    roles: dict[str, sql.Identifier],
    breakage: str,
    warning: str | None,
    reason: str | None,
) -> None:
    connection.execute(sql.SQL(breakage).format(**roles))
    found = check(function, connection)
    assert [said.partition(":")[0] for said in function.warnings] == ["WARNING"] * (warning is not None)
    assert warning is None or warning in function.warnings[0]
    assert (found or "").endswith(reason or "")
    assert (found is None) == (reason is None)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("breakage", "sqlstate"), [(FULL, "53100"), ("ALTER TABLE silence ADD CHECK (false) NOT VALID", "23514")]
)
def test_a_ledger_that_takes_no_more_fails_no_late_heartbeat(
    function: Function, connection: psycopg.Connection, breakage: str, sqlstate: str
) -> None:
    function.send(*EVERYBODY)
    connection.execute(breakage)
    answer, reason = function.send(*LATE)
    assert answer["outdated_devices"] == ["r0", "r1"]
    assert f"(SQLSTATE {sqlstate})" in (reason or "")


@contextmanager
def locked(database: Database) -> Iterator[None]:
    with database.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE silence, first_heartbeat IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.usefixtures("ledger")
def test_a_locked_ledger_delays_a_batch_once(
    function: Function, connection: psycopg.Connection, database: Database
) -> None:
    with locked(database):
        began = time.monotonic()
        answer, _ = function.send(*EVERYBODY)
        took = time.monotonic() - began
    assert (len(answer["updated_devices"]), written(connection)) == (RETURNING, RETURNING)
    assert 0.1 < took < 1
    assert function.warnings == [
        "WARNING: hvac-heartbeat: a silence was not written: canceling statement due to lock timeout"
    ]


@pytest.mark.usefixtures("ledger")
def test_late_heartbeats_that_meet_a_locked_ledger_are_sent_again_and_noted_then(
    function: Function, connection: psycopg.Connection, database: Database
) -> None:
    """They are in no other table, and nobody else waits for them."""
    function.send(*EVERYBODY)
    began = time.monotonic()
    with locked(database), pytest.raises(StoreUnavailable):
        function.send(*LATE)
    assert 2 < time.monotonic() - began < 3
    before = silences(connection)
    function.send(*LATE)
    assert silences(connection) == before + len(LATE)


@pytest.mark.usefixtures("ledger")
def test_of_many_late_heartbeats_those_before_a_lock_are_noted(
    function: Function, connection: psycopg.Connection, database: Database
) -> None:
    """Not all in one transaction: a retry then gets further than the last try, and others wait for a part alone."""
    function.send(*EVERYBODY)
    before = silences(connection)
    *free, last = (f"r{number}" for number in range(RETURNING))
    late = [beat(device, second) for second in (-400, -200) for device in free]
    with database.connect() as holder, holder.transaction():
        holder.execute("SELECT FROM silence WHERE device_id = %s FOR UPDATE", [last])
        with pytest.raises(StoreUnavailable):
            function.send(*late, beat(last, -300))
    assert silences(connection) >= before + RETURNING


@pytest.mark.usefixtures("ledger")
def test_only_a_role_that_may_write_heartbeats_may_give_evidence(
    connection: psycopg.Connection, database: Database, roles: dict[str, sql.Identifier]
) -> None:
    note = "SELECT note_late_heartbeats('{d}', '{2026-01-01}', '{s}')"
    with psycopg.connect(database.url, user=roles["writer"].as_string().strip('"'), password="writer") as writer:
        writer.execute(note)
        writer.commit()
        connection.execute(sql.SQL("REVOKE UPDATE ON device_state FROM {writer}").format(**roles))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not update device_state"):
            writer.execute(note)
        writer.rollback()
        connection.execute(sql.SQL("GRANT UPDATE (last_seen_ts, status) ON device_state TO {writer}").format(**roles))
        writer.execute(note)
