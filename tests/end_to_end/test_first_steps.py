"""What the commands tell somebody who meets them for the first time: of names, periods, and what is cut off."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.end_to_end.fleet import minutes

if TYPE_CHECKING:
    from tests.end_to_end.fleet import Fleet


def test_a_name_of_which_nothing_is_stored_is_refused_rather_than_answered_with_nothing(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(1))
    for arguments in (("silences", "--device", "unit-2"), ("silences", "--site", "nort"), ("stale", "--site", "nort")):
        ended = fleet.call(*arguments)
        assert (ended.code, ended.out) == (1, "")
        assert f"{arguments[-1]} is stored; there is " in ended.err
    assert fleet.out("stale", "--site", "north") == "No device is stale.\n"


def test_a_device_that_was_deleted_is_told_apart_from_one_that_never_was(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(30, 20, 1))
    fleet.connection.execute("DELETE FROM device_state")
    ended = fleet.call("device", "unit-1")
    assert (ended.code, "unit-1 is in device_state no more; it was silent 2 times" in ended.err) == (1, True)
    assert "unit-1" in fleet.out("silences", "--device", "unit-1")


def test_report_says_since_when_it_knows_and_how_much_it_observed(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(60, 50))
    fleet.heartbeats("unit-2", "north", *minutes(1))
    fleet.connection.execute("UPDATE ledger_start SET started_at = now() - interval '30 minutes'")
    _, known, site, *table = fleet.out("report", "--site", "north").splitlines()
    assert known.startswith("known only since ")
    assert site.startswith("site north, 2 devices: ")
    assert table[0].split()[-1] == "observed"
    assert fleet.json("report")["by"] == "site"
    fleet.out("maintenance", "add", "--site", "north", "--from", "2024-01-01")
    last = fleet.out("report").splitlines()[-1]
    assert last == "- under available: not observed (not yet heard, in maintenance, or we were deaf)"


def test_device_says_of_a_silence_that_was_observed_in_part_how_much(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(60, 30))
    fleet.out("maintenance", "add", "--device", "unit-1", "--from", "25m")
    shown = " ".join(fleet.out("device", "unit-1").split())
    assert "2 silences, the longest 30 min" in shown
    fleet.out("policy", "set", "5m")
    fleet.out("maintenance", "add", "--device", "unit-1", "--from", "55m", "--until", "35m")
    assert "the longest observed for 10 min" in " ".join(fleet.out("device", "unit-1").split())


def test_only_silences_that_count_are_shown_of_a_device_and_where_asked_for(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(60, 50, 1))
    fleet.out("policy", "set", "15m")
    assert len(fleet.json("silences")) == 2
    assert [row["counts"] for row in fleet.json("silences", "--counting")] == [True]
    assert "10 min" not in fleet.out("device", "unit-1")
    assert "The first 1 of 2; --limit" in fleet.out("silences", "--limit", "1")


def test_a_long_name_ends_in_an_ellipsis_and_a_note_goes_on_in_the_next_line(fleet: Fleet) -> None:
    fleet.heartbeats("unit-" * 20, "north", *minutes(9))
    line = fleet.out("silences").splitlines()[2]
    assert "…" in line
    assert "north" in line
    fleet.call("deaf", "add", "--note", "the broker was moved to another hall and nobody told us of it in time")
    assert "in time" in " ".join(fleet.out("deaf", "list").split())
    assert "no further silence counts until it ends" in fleet.out("status")


def test_serve_prints_the_variables_with_which_the_other_commands_read_its_database() -> None:
    command = Path(sys.executable).with_name("hvac-heartbeat")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    server = subprocess.Popen(
        [command, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert server.stdout
        said = ""
        for line in server.stdout:
            said += line
            if line.startswith("Listening"):
                break
        exports = dict(word.split("=", 1) for word in re.findall(r"DB_\w+=\S+", said))
        ended = subprocess.run(
            [command, "status"], env=environment | exports, capture_output=True, text=True, check=True
        )
        assert ended.stdout == "No device has sent a heartbeat yet.\n"
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
