"""Times that the commands on the ledger of silence have to read: in another style, of other programs, or ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.fleet import READING, minutes

if TYPE_CHECKING:
    from tests.end_to_end.fleet import Fleet


def test_the_database_s_way_to_write_times_makes_no_difference(fleet: Fleet) -> None:
    fleet.heartbeats("d", "s", *minutes(20, 9))
    fleet.out("maintenance", "add", "--device", "d", "--from", "2026-02-03", "--until", "2026-02-04")
    told = [("silences", "--since", "1d"), ("maintenance", "list", "--all"), ("policy", "show")]
    before = [fleet.json(*arguments) for arguments in told]
    name = fleet.connection.info.dbname
    fleet.connection.execute(f"ALTER DATABASE {name} SET datestyle = 'German'".encode())
    fleet.connection.execute(f"ALTER DATABASE {name} SET intervalstyle = 'iso_8601'".encode())
    after = [fleet.json(*arguments) for arguments in told]
    assert [row["silent_from"] for row in after[0]] == [row["silent_from"] for row in before[0]]
    assert after[1:] == before[1:]
    for arguments in (*READING, ("stale",), ("device", "d"), ("policy", "set", "5m"), ("deaf", "add")):
        fleet.out(*arguments)
    assert "connected and logged in" in fleet.call("check").out


@pytest.mark.parametrize("time", ["0044-03-15 BC", "20000-01-01"])
def test_a_time_of_another_program_that_python_cannot_tell_hides_no_other_device(fleet: Fleet, time: str) -> None:
    fleet.heartbeats("d", "s", *minutes(20, 9))
    fleet.connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('foreign', 's', %s)", [time]
    )
    for arguments in (("status", "--site", "s"), ("silences",), ("stale",), ("report", "--by", "device")):
        assert any(line.startswith("d ") for line in fleet.out(*arguments).splitlines()), arguments
    assert "d" in {row["device_id"] for row in fleet.json("stale")}
    assert "at no time that can be told" in fleet.out("device", "foreign")
    assert fleet.json("device", "foreign")["last_seen_ts"] is None


def test_a_heartbeat_from_a_clock_that_is_ahead_was_just_now(fleet: Fleet) -> None:
    fleet.heartbeats("d", "s", *minutes(1))
    fleet.connection.execute("UPDATE device_state SET last_seen_ts = now() + interval '70 seconds'")
    assert "Z, 0 s ago\n" in fleet.out("device", "d")
