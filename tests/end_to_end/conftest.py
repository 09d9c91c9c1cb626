"""The command as a terminal would call it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli.app import main
from tests.end_to_end.command import Ended
from tests.end_to_end.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg


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
    """No variable that names a database."""
    for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SECRET_ARN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fleet(hvac: Callable[..., Ended], connection: psycopg.Connection, environment: dict[str, str]) -> Fleet:
    """A fleet without a heartbeat. Its database's time zone has summer time, which must make no difference."""
    connection.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Europe/Berlin''',"
                       " current_database()); END $$")  # fmt: skip
    schema.migrate(connection)
    connection.execute("UPDATE ledger_start SET started_at = '2024-01-01Z'")  # as though it had been made then
    return Fleet(hvac, connection)


@pytest.fixture
def october(fleet: Fleet) -> Fleet:
    """One device that missed two daily heartbeats, around the end of summer time; stale after a day."""
    fleet.out("policy", "set", "1d")
    days = ("10-25", "10-26", "10-27", "10-30", "10-31", "11-01")
    fleet.heartbeats("unit-1", "north", *(f"2024-{day}T00:00:00Z" for day in days))
    return fleet
