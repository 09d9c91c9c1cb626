"""`python lambda_function.py`, as in the mission: the sample events against the DB_* variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

SCRIPT = Path(__file__).parents[2] / "lambda_function.py"


def play(**variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    return subprocess.run(
        [sys.executable, SCRIPT], env=clean | variables, cwd="/", capture_output=True, text=True, check=False
    )


def test_it_plays_both_events_and_writes_the_four_devices(
    environment: dict[str, str], connection: psycopg.Connection
) -> None:
    ended = play(**environment)
    assert ended.returncode == 0, ended
    assert ended.stdout.count('"statusCode": 200') == 2
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (4,)


def test_a_refused_heartbeat_ends_with_1(environment: dict[str, str], connection: psycopg.Connection) -> None:
    ended = play(**environment, HEARTBEAT_NEW_DEVICES="reject")
    assert ended.returncode == 1, ended
    assert ended.stdout.count('"statusCode": 400') == 2
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (0,)


def test_it_names_the_variables_that_are_missing() -> None:
    ended = play(DB_HOST="localhost")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: set DB_NAME, DB_USER")
    assert ended.stderr.count("\n") == 1


def test_a_database_that_is_away_is_one_line() -> None:
    ended = play(DB_HOST="127.0.0.1", DB_PORT="1", DB_NAME="hvac", DB_USER="w", DB_PASSWORD="hush-hush")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "hush-hush" not in ended.stderr + ended.stdout
