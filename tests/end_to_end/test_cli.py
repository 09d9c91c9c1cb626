"""The hvac-heartbeat command: what each of its subcommands does and gives as an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.command import SILENT, is_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.conftest import Database
    from tests.end_to_end.command import Ended

EVENTS = Path(__file__).parents[2] / "events"


@pytest.mark.usefixtures("no_settings")
def test_run_without_a_database_shows_both_answers_and_the_four_devices(hvac: Callable[..., Ended]) -> None:
    ended = hvac("run")
    assert ended.code == 0, ended
    assert "Heartbeat updated for 1 device(s)" in ended.out
    assert "Heartbeat updated for 3 device(s)" in ended.out
    shown = ended.out[ended.out.index("\ndevice_state") :]
    for device in ("hvac-unit-001", "hvac-001", "hvac-002", "hvac-003"):
        assert device in shown
    stale, silences = shown[shown.index("\nv_devices_stale") :].split("\nsilences\n")
    assert [line.split()[0] for line in stale.splitlines() if "hvac-" in line] == ["hvac-silent-001"]
    assert "5 min" in stale
    silent, back = [line for line in silences.splitlines() if "hvac-" in line]
    assert (silent.split()[0], silent.endswith("not yet")) == ("hvac-silent-001", True)
    assert (back.split()[0], "12 min" in back, back.endswith("Z")) == ("hvac-002", True, True)
    assert "Added hvac-silent-001, last seen five minutes ago" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.usefixtures("environment")
def test_run_with_db_host_writes_there_and_says_so(hvac: Callable[..., Ended], connection: psycopg.Connection) -> None:
    ended = hvac("run")
    assert ended.code == 0, ended
    assert "Using the database that DB_* names" in ended.out
    assert connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE device_id ~ 'silent') FROM device_state"
    ).fetchone() == (4, 0)
    assert "Added" not in ended.out


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


def test_migrate_says_first_and_then_does_what_is_missing(
    hvac: Callable[..., Ended], empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in empty_database.environment.items():
        monkeypatch.setenv(name, value)
    everything = "device_state, v_devices_stale and the ledger of silence in schema public"
    assert f"would create {everything}" in hvac("migrate", "--dry-run").out
    assert f"created {everything}" in hvac("migrate").out
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
    else:
        connection.execute(hvac("migrate", "--sql").out.encode())
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
@pytest.mark.parametrize(
    ("sample", "summary"),
    [
        ("single", "1 updated"),
        ("batch", "3 updated"),
        ("eventbridge", "2 updated"),
        ("http-api", "1 updated"),
        ("kafka-msk", "2 updated"),
        ("kinesis", "2 updated"),
        ("pipes-sqs", "1 updated"),
        ("sns", "2 updated"),
        ("sqs", "3 updated"),
        ("schedule", "0 of 0 devices are stale"),
    ],
)
def test_send_says_how_many_heartbeats_ended_how_for_every_trigger(
    hvac: Callable[..., Ended], sample: str, summary: str
) -> None:
    ended = hvac("send", str(EVENTS / f"{sample}.json"))
    assert (ended.code, ended.err) == (0, f"{summary}\n")


@pytest.mark.usefixtures("environment")
def test_send_counts_what_is_outdated_and_what_is_rejected(
    hvac: Callable[..., Ended], connection: psycopg.Connection
) -> None:
    connection.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('hvac-003', 's', now())")
    connection.execute("UPDATE device_state SET last_seen_ts = now() + interval '1 minute'")
    assert hvac("send", str(EVENTS / "batch.json")).err == "2 updated, 1 outdated\n"
    kinesis = json.loads((EVENTS / "kinesis.json").read_text(encoding="utf-8"))
    kinesis["Records"][0]["kinesis"]["data"] = "bm90IEpTT04="
    ended = hvac("send", "-", stdin=json.dumps(kinesis))
    assert (ended.code, ended.err) == (1, "1 outdated, 1 rejected; --logs shows why\n")


@pytest.mark.usefixtures("environment")
def test_send_leads_to_the_log_where_the_answer_holds_no_reasons(hvac: Callable[..., Ended]) -> None:
    event = json.loads((EVENTS / "sqs.json").read_text(encoding="utf-8"))
    event["Records"][0]["body"] = "{broken"
    ended = hvac("send", "-", stdin=json.dumps(event))
    assert ended.code == 1
    assert "--logs" in ended.err
    assert "is not JSON" in hvac("send", "--logs", "-", stdin=json.dumps(event)).err


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
