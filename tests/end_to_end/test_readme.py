"""What README.md prints works as it is printed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.cli.serve import PORT
from tests.triggers.test_serve import served

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.end_to_end.command import Ended
    from tests.triggers.serving import Served

__all__ = ["served"]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def timeless(text: str) -> str:
    """Return a text with every time of day and date in it made the same."""
    return re.sub(r"\d\d:\d\d:\d\d(\.\d+)?Z", "00:00:00Z", re.sub(r"\d{4}-\d\d-\d\dT", "T", text))


def test_curl_gets_the_answer_that_is_printed(served: Served) -> None:
    [line] = re.findall(r"^\$ (curl .*)$", README, re.MULTILINE)
    assert f"127.0.0.1:{PORT}" in line
    assert shutil.which("curl"), "this test needs curl"
    command = shlex.split(line.replace(f":{PORT}", f":{served.port}"))
    answer = subprocess.run([*command, "--silent", "--show-error"], capture_output=True, text=True, check=True).stdout
    assert timeless(f"$ {line}\n{answer}\n") in timeless(README)


@pytest.mark.usefixtures("no_settings")
def test_run_shows_what_is_printed(hvac: Callable[..., Ended]) -> None:
    [shown] = [block for block in CONSOLE if block.startswith("$ make run\n")]
    before, after = shown.removeprefix("$ make run\n").removesuffix("\n$ make test\n").split("…\n")
    out = timeless(hvac("run").out)
    assert out.startswith(timeless(before))
    assert f"\n{timeless(after)}" in out


def test_the_sql_makes_the_stale_view_follow_the_rules_and_maintenance(connection: psycopg.Connection) -> None:
    schema.migrate(connection)
    connection.execute("UPDATE ledger_start SET started_at = '2024-01-01Z'")
    connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES"
        " ('late', 's', now() - interval '5 minutes'), ('gone', 's', now() - interval '26 minutes'),"
        " ('retired', 's', now() - interval '1 day')"
    )
    stale = "SELECT array_agg(device_id ORDER BY device_id) FROM v_devices_stale"
    connection.execute("INSERT INTO liveness_policy (scope, subject, stale_after) VALUES ('fleet', '', '25 minutes')")
    connection.execute(
        "INSERT INTO maintenance_window (scope, subject, starts_at)"
        " VALUES ('device', 'retired', now() - interval '1 day')"
    )
    assert connection.execute(stale).fetchone() == (["gone", "late", "retired"],)
    assert connection.execute("SELECT stale FROM sweep()").fetchone() == (1,), "the alarm follows them already"
    [statement] = re.findall(r"```sql\n(CREATE OR REPLACE VIEW.*?)```", README, re.DOTALL)
    connection.execute(statement)
    assert connection.execute(stale).fetchone() == (["gone"],)
