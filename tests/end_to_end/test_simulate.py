"""`hvac-heartbeat simulate` against the real `serve`, and what it says to a call that it cannot use."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from tests.end_to_end.command import Ended, is_one_line
from tests.triggers.serving import SCRIPTS, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg


def test_a_run_against_serve_ends_with_ctrl_c_and_says_that_all_of_it_is_stored(
    environment: dict[str, str], connection: psycopg.Connection
) -> None:
    """It asks the database for that where DB_HOST … name one, and `serve` where they do not."""
    schema.migrate(connection)
    secret = {"HEARTBEAT_TOKEN": "a-secret-of-these-tests"}
    others = {name: value for name, value in os.environ.items() if name not in environment}
    with serving(others | environment | secret) as served:
        for known in (environment, {}):
            run = simulating(served.port, others | known | secret)
            await_devices(connection, 90)
            run.send_signal(signal.SIGINT)
            said, _ = run.communicate(timeout=20)
            assert run.returncode == 0, said
            assert f"to http://127.0.0.1:{served.port}/heartbeat until " in said
            counts = re.search(r"sent +written +outdated +rejected +failed\n─+\n *(\d+) +(\d+) +\d+ +0 +0\n", said)
            assert counts, said
            assert int(counts[1]) >= 90
            assert re.search(r"\ndevices +90 +90\n", said)
            assert "What was sent is what is stored.\nNobody sends any more: " in said
            connection.execute("DELETE FROM device_state")
        refused = simulating(served.port, others)
        said, _ = refused.communicate(timeout=20)
        assert (refused.returncode, is_one_line(said)) == (2, True)
        assert "lets nobody in without a token: set HEARTBEAT_TOKEN " in said


def simulating(port: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(SCRIPTS / "hvac-heartbeat", "simulate", "--devices", "90", "--sites", "6", "--for", "10m"),
            *("--to", f"http://127.0.0.1:{port}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def await_devices(connection: psycopg.Connection, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if connection.execute("SELECT FROM device_state").rowcount == count:
            return
        time.sleep(0.1)
    raise AssertionError("not all of the devices were heard")


@pytest.mark.usefixtures("no_settings")
def test_the_handler_takes_batches_into_a_throwaway_database(hvac: Callable[..., Ended]) -> None:
    ended = hvac("simulate", "--handler", "--devices", "20", "--sites", "2", "--for", "5s", "--batch", "10")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"\ndevices +20 +20\n", ended.out)
    assert max(map(len, ended.out.splitlines()[-8:])) <= 80
    assert ended.out.endswith("The throwaway PostgreSQL is removed.\n")


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--devices", "10", "--sites", "11"), "there are more sites (11) than devices (10)"),
        (("--for", "10"), "'10' has no unit"),
        (("--for", "2d"), "is not between 5s and 1d"),
        (("--to", "localhost:8790"), "'localhost:8790' is no URL: write http://127.0.0.1:8790"),
        (("--to", "http://127.0.0.1:x"), "is no URL"),
        (("--to", "http://127.0.0.1:1"), "Connection refused): start `hvac-heartbeat serve` in another terminal"),
        (("--to", "http://fleet.example"), "--to names another machine (fleet.example); nothing was written"),
        (("--to", "http://127.0.0.1:1", "--handler"), "give --to or --handler, not both"),
    ],
)
def test_a_call_that_cannot_be_used_is_one_line_that_says_what_to_do(
    hvac: Callable[..., Ended], arguments: tuple[str, ...], said: str
) -> None:
    ended = hvac("simulate", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert is_one_line(ended.err)
    assert said in ended.err
