"""The hvac-heartbeat command: what a person types, sees and gets as an exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.conftest import Database

EVENTS = Path(__file__).parents[2] / "events"
SUBCOMMANDS = ("run", "migrate", "send", "stale")


class Ended(NamedTuple):
    """How one call of the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def hvac(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    """Calls the command as a terminal would, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str, stdin: str = "") -> Ended:
        handler.reset()
        monkeypatch.setattr(sys, "argv", ["hvac-heartbeat", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    yield call
    handler.reset()


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SECRET_ARN"):
        monkeypatch.delenv(name, raising=False)


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.mark.usefixtures("no_settings")
def test_run_without_a_database_shows_both_answers_and_the_four_devices(hvac: Callable[..., Ended]) -> None:
    ended = hvac("run")
    assert ended.code == 0, ended
    assert "Heartbeat updated for 1 device(s)" in ended.out
    assert "Heartbeat updated for 3 device(s)" in ended.out
    shown = ended.out[ended.out.index("\ndevice_state") :]
    for device in ("hvac-unit-001", "hvac-001", "hvac-002", "hvac-003"):
        assert device in shown
    assert "No device is stale" in shown
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.usefixtures("environment")
def test_run_with_db_host_writes_there_and_says_so(hvac: Callable[..., Ended], connection: psycopg.Connection) -> None:
    ended = hvac("run")
    assert ended.code == 0, ended
    assert "Using the database that DB_* names" in ended.out
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (4,)


def test_run_never_migrates_a_database_it_did_not_create(
    hvac: Callable[..., Ended], empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in empty_database.environment.items():
        monkeypatch.setenv(name, value)
    ended = hvac("run")
    assert ended.code == 1
    assert is_one_line(ended.err)
    assert "hvac-heartbeat migrate" in ended.err
    with empty_database.connect() as connection:
        assert connection.execute("SELECT to_regclass('device_state')").fetchone() == (None,)


@pytest.mark.parametrize("host", ["db.example.com", "192.0.2.7", "localhost,db.example.com", "10.0.0.1"])
def test_run_writes_nothing_to_another_machine_without_yes(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    def connect(*_: object, **__: object) -> None:
        pytest.fail("it opened a connection")

    monkeypatch.setattr("psycopg.connect", connect)
    for name, value in {"DB_HOST": host, "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "x"}.items():
        monkeypatch.setenv(name, value)
    ended = hvac("run")
    assert ended.code == 2
    assert is_one_line(ended.err)
    assert "--yes" in ended.err


def test_migrate_says_first_and_then_does_what_is_missing(
    hvac: Callable[..., Ended], empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in empty_database.environment.items():
        monkeypatch.setenv(name, value)
    assert "would create device_state and v_devices_stale in schema public" in hvac("migrate", "--dry-run").out
    assert "created device_state and v_devices_stale in schema public" in hvac("migrate").out
    again = hvac("migrate")
    assert (again.code, "up to date" in again.out) == (0, True)


@pytest.mark.usefixtures("no_settings")
def test_migrate_sql_needs_no_database(hvac: Callable[..., Ended]) -> None:
    ended = hvac("migrate", "--sql")
    assert ended.code == 0
    assert ended.out.startswith("BEGIN;")
    assert "CREATE TABLE device_state" in ended.out


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("recorded", [True, False])
def test_migrate_sql_prints_what_a_database_lacks_and_nothing_else(
    hvac: Callable[..., Ended], connection: psycopg.Connection, *, recorded: bool
) -> None:
    if recorded:
        hvac("migrate")
    assert hvac("migrate", "--sql").out == "-- Nothing is missing.\n"
    connection.execute("DROP VIEW v_devices_stale")
    connection.execute(hvac("migrate", "--sql").out.encode())
    assert connection.execute("SELECT count(*) FROM v_devices_stale").fetchone() == (0,)
    assert hvac("migrate").code == 0


@pytest.mark.usefixtures("environment")
def test_migrate_sql_without_a_way_in_says_how_to_see_all_of_it(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_NAME", "no_such_database")
    ended = hvac("migrate", "--sql")
    assert (ended.code, is_one_line(ended.err)) == (1, True)
    assert "DB_HOST unset" in ended.err


@pytest.mark.usefixtures("environment")
def test_send_takes_a_file_and_standard_input(hvac: Callable[..., Ended], connection: psycopg.Connection) -> None:
    assert hvac("send", str(EVENTS / "single.json")).code == 0
    ended = hvac("send", "-", "--raw", stdin='{"device_id": "d", "site_id": "s"}')
    assert ended.code == 0
    assert json.loads(json.loads(ended.out)["body"])["updated_devices"] == ["d"]
    assert connection.execute("SELECT device_id FROM device_state ORDER BY 1").fetchall() == [
        ("d",),
        ("hvac-unit-001",),
    ]


@pytest.mark.usefixtures("environment")
def test_send_ends_with_1_when_something_was_refused(hvac: Callable[..., Ended]) -> None:
    ended = hvac("send", "-", stdin='{"devices": [{"device_id": "d", "site_id": "s"}, {"device_id": "d"}]}')
    assert ended.code == 1
    assert '"rejected"' in ended.out


@pytest.mark.usefixtures("environment")
def test_send_leads_to_the_log_where_the_answer_holds_no_reasons(hvac: Callable[..., Ended]) -> None:
    event = json.loads((EVENTS / "sqs.json").read_text(encoding="utf-8"))
    event["Records"][0]["body"] = "{broken"
    ended = hvac("send", "-", stdin=json.dumps(event))
    assert ended.code == 1
    assert "--logs" in ended.err
    assert "is not JSON" in hvac("send", "--logs", "-", stdin=json.dumps(event)).err


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


@pytest.mark.parametrize("arguments", [("send", str(EVENTS / "batch.json")), ("migrate",), ("stale",), ("run",)])
def test_a_database_that_is_not_there_is_one_line_with_1_and_no_secret(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    settings = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "hush-hush"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = hvac(*arguments)
    assert ended.code == 1
    assert is_one_line(ended.err)
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


SILENT = """
INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES
    ('old', 'north', now() - interval '1 day'), ('older', 'south', now() - interval '2 days'),
    ('[red]fresh\x1b[2J', 'north', now() - interval '3 minutes'), ('alive', 'north', now())
"""


@pytest.mark.usefixtures("environment")
def test_stale_lists_the_longest_silent_first_and_filters(
    hvac: Callable[..., Ended], connection: psycopg.Connection
) -> None:
    connection.execute(SILENT)

    def devices(*arguments: str) -> list[str]:
        return [row["device_id"] for row in json.loads(hvac("stale", "--json", *arguments).out)]

    assert devices() == ["older", "old", "[red]fresh\x1b[2J"]
    assert devices("--site", "north") == ["old", "[red]fresh\x1b[2J"]
    assert devices("--older-than", "5m") == ["older", "old"]
    assert devices("--older-than", "1.5d") == ["older"]
    assert devices("--limit", "1") == ["older"]


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
    assert [line.split()[0] for line in listed] == ["run", "migrate", "send", "stale", "serve", "check", "tune"]
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


@pytest.mark.usefixtures("environment")
def test_a_terminal_that_knows_no_arrow_gets_a_question_mark() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from hvac_heartbeat.cli import main; main()", "run"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended
    assert b"events/single.json ? lambda_handler" in ended.stdout
