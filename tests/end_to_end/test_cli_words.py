"""What the hvac-heartbeat command says: its help, its tables, and one line for everything that goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from hvac_heartbeat.cli import main
from tests.end_to_end.command import SILENT, is_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.conftest import Database
    from tests.end_to_end.command import Ended

EVENTS = Path(__file__).parents[2] / "events"
COMMAND = [sys.executable, "-c", "from hvac_heartbeat.cli import main; main()"]
SUBCOMMANDS = (
    *("run", "migrate", "send", "stale", "status", "silences", "device", "report", "policy", "maintenance", "deaf"),
    *("sweep", "episodes", "messages", "serve", "simulate", "check", "tune"),
)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("send", "/nowhere/event.json"), "", "cannot read /nowhere/event.json"),
        (("send", "-"), "{not json", "standard input is not JSON"),
        (("send", "-"), "[" * 100_000, "nested too deeply"),
        (("send", "-"), "\n", "standard input is empty"),
        (("send", "-"), "\ufeff{}", "byte order mark"),
    ],
)
def test_what_cannot_be_read_ends_with_2_and_one_line(
    hvac: Callable[..., Ended], arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    ended = hvac(*arguments, stdin=stdin)
    assert ended.code == 2
    assert is_one_line(ended.err)
    assert said in ended.err


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("arguments", [("send", "-"), ("migrate",), ("stale",)])
def test_missing_variables_are_named_in_one_line_with_2(hvac: Callable[..., Ended], arguments: tuple[str, ...]) -> None:
    ended = hvac(*arguments)
    assert ended.code == 2
    assert is_one_line(ended.err)
    assert "DB_HOST, DB_NAME, DB_USER" in ended.err


@pytest.mark.parametrize(
    "arguments", [("send", str(EVENTS / "batch.json")), ("migrate",), ("stale",), ("run",), ("tune",)]
)
def test_a_database_that_is_not_there_is_one_line_with_host_port_and_cause(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    settings = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "hush-hush"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = hvac(*arguments)
    assert ended.code == 1
    assert is_one_line(ended.err)
    assert "127.0.0.1:1" in ended.err
    assert "Connection refused" in ended.err
    assert "hush-hush" not in ended.err + ended.out


@pytest.mark.usefixtures("environment")
def test_a_database_that_does_not_exist_leads_to_db_name(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_NAME", "no_such_database")
    ended = hvac("stale")
    assert ended.code == 1
    assert is_one_line(ended.err)
    assert "check DB_NAME" in ended.err


def test_a_missing_table_leads_to_migrate(
    hvac: Callable[..., Ended], empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in empty_database.environment.items():
        monkeypatch.setenv(name, value)
    for arguments in (("stale",), ("send", str(EVENTS / "single.json"))):
        ended = hvac(*arguments)
        assert ended.code == 1
        assert is_one_line(ended.err)
        assert "hvac-heartbeat migrate" in ended.err


@pytest.mark.usefixtures("environment")
def test_a_device_s_name_is_shown_as_text_not_obeyed(
    hvac: Callable[..., Ended], connection: psycopg.Connection
) -> None:
    connection.execute(SILENT)
    ended = hvac("stale")
    assert "[red]fresh" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("length", ["soon", "-5m", "99999999999999d", "9" * 400])
def test_a_length_of_time_that_is_none_ends_with_2(hvac: Callable[..., Ended], length: str) -> None:
    assert hvac("stale", "--older-than", length).code == 2


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_has_help_with_the_exit_codes(hvac: Callable[..., Ended], subcommand: str) -> None:
    ended = hvac(subcommand, "--help")
    assert ended.code == 0
    assert "Exit codes: 0 done; 1 something was refused or failed" in " ".join(ended.out.split())


def test_no_subcommand_lists_them_all_each_on_one_line(hvac: Callable[..., Ended]) -> None:
    ended = hvac()
    assert (ended.code, ended.out) == (2, "")
    listed = ended.err[ended.err.index("Commands:") :].split("\n\n")[0].splitlines()[1:]
    assert sorted(line.split()[0] for line in listed) == sorted(SUBCOMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), listed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bogus",), "No such command 'bogus'"),
        (("stale", "--bogus"), "No such option"),
        (("stale", "--limit", "0"), "'--limit'"),
        (("stale", "--older-than", "soon"), "'soon' is no length of time"),
        (("send",), "Missing argument"),
    ],
)
def test_a_wrong_call_is_one_line_with_2(hvac: Callable[..., Ended], arguments: tuple[str, ...], said: str) -> None:
    ended = hvac(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert is_one_line(ended.err)
    assert said in ended.err


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("columns", ["50", "80", "200"])
def test_tables_fit_the_terminal_with_no_blank_at_the_end_of_a_line(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = hvac("run").out
    lines = [*shown[shown.index("\ndevice_state") :].splitlines(), *hvac("check").out.splitlines()]
    assert [line for line in lines if line != line.rstrip()] == []
    assert max(map(len, lines)) <= int(columns)
    assert sum("00:" in line or "Z" in line for line in lines if "building-" in line) == 4  # one line a device
    assert ("No room here for: agent, CPU %, disk GB" in shown) == (columns == "50")


def test_version_is_shown(hvac: Callable[..., Ended]) -> None:
    assert hvac("--version").out.startswith("hvac-heartbeat 0.")


def test_output_that_cannot_be_written_is_one_line() -> None:
    with Path(os.devnull).open() as for_reading:  # as on a full disk, which not every system has
        ended = subprocess.run(
            [*COMMAND, "--version"], stdout=for_reading, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, "error: [Errno 9] Bad file descriptor\n")


def test_ctrl_c_before_the_command_has_begun_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvac_heartbeat.cli.app.app", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit, match="130"):
        main()


@pytest.mark.usefixtures("environment")
def test_a_terminal_that_knows_no_arrow_gets_a_question_mark() -> None:
    ended = subprocess.run(
        [*COMMAND, "run"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended
    assert b"events/single.json ? lambda_handler" in ended.stdout
