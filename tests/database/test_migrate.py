"""`hvac-heartbeat migrate` on databases that are not as it expects: it succeeds, or says why in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.schema import Outcome, look
from hvac_heartbeat.schema.revisions import VERSION_TABLE
from tests.end_to_end.command import is_one_line

if TYPE_CHECKING:
    from tests.conftest import Database

COMMAND = [sys.executable, "-c", "from hvac_heartbeat.cli import main; main()", "migrate"]


def start(database: Database, *options: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "PG", "AWS_"))}
    return subprocess.Popen(
        [*COMMAND, *options],
        env=kept | database.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(database: Database, *options: str) -> str:
    migration = start(database, *options)
    _, err = migration.communicate(timeout=120)
    assert migration.returncode == 1, err
    assert is_one_line(err), err
    return err


def set_default(database: Database, setting: str, value: str) -> None:
    with database.connect() as owner:
        owner.execute(f"ALTER DATABASE {database.name} SET {setting} = '{value}'".encode())


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_four_at_once_all_succeed_whatever_the_database_s_isolation(empty_database: Database, isolation: str) -> None:
    set_default(empty_database, "default_transaction_isolation", isolation)
    migrations = [start(empty_database) for _ in range(4)]
    ends = [migration.communicate(timeout=120) for migration in migrations]
    assert [migration.returncode for migration in migrations] == [0] * 4, ends
    with empty_database.connect() as connection:
        assert look(connection).outcome is Outcome.CURRENT


def test_a_read_only_database(empty_database: Database) -> None:
    set_default(empty_database, "default_transaction_read_only", "on")
    assert "read-only" in refused(empty_database)


def test_a_revision_of_a_newer_version(empty_database: Database) -> None:
    with empty_database.connect() as owner:
        owner.execute(f"CREATE TABLE {VERSION_TABLE} AS SELECT '0099' AS version_num".encode())
    assert f"{VERSION_TABLE} says 0099" in refused(empty_database)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE SEQUENCE device_state", "a device_state already that is not a table"),
        ("CREATE VIEW device_state AS SELECT 1 AS device_id", "a device_state already that is not a table"),
        ("CREATE SEQUENCE v_devices_stale", "a v_devices_stale already that is not a view"),
        ("CREATE VIEW v_devices_stale AS SELECT '' AS device_id", "without site_id, last_seen_ts, age"),
        (
            "CREATE TABLE device_state (device_id text PRIMARY KEY, site_id text)",
            "without last_seen_ts",
        ),
    ],
)
def test_something_else_by_that_name(empty_database: Database, statement: str, said: str) -> None:
    with empty_database.connect() as owner:
        owner.execute(statement.encode())
    assert said in refused(empty_database)


@pytest.mark.parametrize("option", ["--dry-run", "--sql"])
def test_something_else_by_that_name_is_said_beforehand(empty_database: Database, option: str) -> None:
    with empty_database.connect() as owner:
        owner.execute("CREATE SEQUENCE device_state")
    assert "not a table" in refused(empty_database, option)


def test_a_type_by_the_table_s_name(empty_database: Database) -> None:
    with empty_database.connect() as owner:
        owner.execute("CREATE TYPE device_state AS ENUM ('ready')")
    assert "device_state" in refused(empty_database)


@pytest.mark.parametrize(
    "statement",
    [f"CREATE VIEW {VERSION_TABLE} AS SELECT 1 AS other", f"CREATE SEQUENCE {VERSION_TABLE}"],
    ids=["view", "sequence"],
)
def test_something_else_by_the_version_table_s_name(empty_database: Database, statement: str) -> None:
    with empty_database.connect() as owner:
        owner.execute(statement.encode())
    refused(empty_database)
