"""`python lambda_function.py`: the sample events against the DB_* variables."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typing_extensions

if TYPE_CHECKING:
    import psycopg

SCRIPT = Path(__file__).parents[2] / "lambda_function.py"


def send(**variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    return subprocess.run(
        [sys.executable, SCRIPT], env=clean | variables, cwd="/", capture_output=True, text=True, check=False
    )


def test_it_sends_both_events_and_writes_the_four_devices(
    environment: dict[str, str], connection: psycopg.Connection
) -> None:
    ended = send(**environment)
    assert ended.returncode == 0, ended
    assert ended.stdout.count('"statusCode": 200') == 2
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (4,)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with what `pip install -r requirements.txt` brings, and nothing of ours."""
    for package in ("psycopg", "psycopg_binary", "msgspec"):
        found = importlib.util.find_spec(package)
        assert found is not None
        assert found.origin is not None
        folder = Path(found.origin).parent
        (tmp_path / package).symlink_to(folder)
        for beside in (*folder.parent.glob(f"{package}.libs"), *folder.parent.glob(f"{package}-*.dist-info")):
            (tmp_path / beside.name).symlink_to(beside)
    (tmp_path / "typing_extensions.py").symlink_to(Path(typing_extensions.__file__))
    return tmp_path


def test_it_works_from_a_checkout_where_only_the_requirements_are_installed(
    environment: dict[str, str], connection: psycopg.Connection, installed: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-S", "lambda_function.py"],  # -S: without the folder that holds an installed hvac_heartbeat
        env=environment | {"PYTHONPATH": str(installed)},
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (4,)


def test_a_requirement_that_is_missing_is_named(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-S", SCRIPT], env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    requirements = SCRIPT.with_name("requirements.txt")
    assert ended.stderr == f"error: No module named 'msgspec'; run {sys.executable} -m pip install -r {requirements}\n"


def test_imported_by_lambda_it_raises_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-S", "-c", "import lambda_function"],
        env={"PYTHONPATH": str(SCRIPT.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'msgspec'"


def test_the_command_names_the_call_of_pip_that_installs_what_is_missing(installed: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-S", "-c", "from hvac_heartbeat.cli import main; main()"],
        env={"PYTHONPATH": f"{installed}:{SCRIPT.with_name('src')}"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == f"error: typer is not installed; run {sys.executable} -m pip install 'hvac-heartbeat[cli]'\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_gets_no_traceback(environment: dict[str, str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, SCRIPT],
        env=os.environ | environment | {"PYTHONUNBUFFERED": unbuffered},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_refused_heartbeat_ends_with_1(environment: dict[str, str], connection: psycopg.Connection) -> None:
    ended = send(**environment, HEARTBEAT_NEW_DEVICES="reject")
    assert ended.returncode == 1, ended
    assert ended.stdout.count('"statusCode": 400') == 2
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (0,)


def test_it_names_the_variables_that_are_missing() -> None:
    ended = send(DB_HOST="localhost")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: set DB_NAME, DB_USER")
    assert ended.stderr.count("\n") == 1


def test_a_database_that_is_away_is_one_line_with_host_port_and_cause() -> None:
    ended = send(DB_HOST="127.0.0.1", DB_PORT="1", DB_NAME="hvac", DB_USER="w", DB_PASSWORD="hush-hush")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "127.0.0.1:1" in ended.stderr
    assert "Connection refused" in ended.stderr
    assert "hush-hush" not in ended.stderr + ended.stdout
