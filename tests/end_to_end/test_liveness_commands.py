"""What the commands on the ledger of silence answer."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.command import is_one_line
from tests.end_to_end.fleet import READING, minutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.command import Ended
    from tests.end_to_end.fleet import Fleet


@pytest.mark.usefixtures("environment")
def test_without_the_ledger_every_command_leads_to_migrate(hvac: Callable[..., Ended]) -> None:
    others = (("device", "d"), ("policy", "set", "5m"), ("maintenance", "add", "--site", "s"), ("deaf", "end", "1"))
    for arguments in (*READING, *others):
        ended = hvac(*arguments)
        assert (ended.code, ended.out, is_one_line(ended.err)) == (1, "", True), arguments
        assert "`hvac-heartbeat migrate` makes it" in ended.err


def test_without_a_heartbeat_every_command_says_that_there_is_nothing(fleet: Fleet) -> None:
    assert fleet.out("status") == "No device has sent a heartbeat yet.\n"
    assert fleet.json("status")["fleet"]["devices"] == 0
    assert fleet.out("silences", "--open") == "No device is silent for more than 120 seconds.\n"
    assert "No device has sent a heartbeat yet." in fleet.out("report")
    assert "the fleet, by default         2 min" in fleet.out("policy", "show")
    assert "No maintenance lasts" in fleet.out("maintenance", "list")
    assert "No outage of ours was ever added" in fleet.out("deaf", "list", "--all")


def test_status_counts_the_fleet_and_lists_the_worst_site_first(fleet: Fleet) -> None:
    fleet.heartbeats("a1", "a-good", *minutes(1))
    fleet.heartbeats("b1", "b-half", *minutes(1))
    fleet.heartbeats("b2", "b-half", *minutes(9))
    fleet.heartbeats("c1", "c-dark", *minutes(30))
    fleet.heartbeats("c2", "c-dark", *minutes(20))
    long_ago = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    fleet.heartbeats("d1", "d-full", *minutes(1), queue_depth=4, last_upload_ts=long_ago)
    first, *table = fleet.out("status").splitlines()
    assert first == "6 devices at 4 sites, 1 of them dark: 3 online, 3 stale, 1 not delivering"
    assert [line.split()[0] for line in table[2:]] == ["c-dark", "b-half", "d-full", "a-good"]
    found = fleet.json("status", "--limit", "1")
    assert found["fleet"] == {
        "devices": 6, "online": 3, "stale": 3, "unknown": 0, "in_maintenance": 0, "not_delivering": 1
    }  # fmt: skip
    [dark] = found["sites"]
    since = datetime.fromisoformat(dark["dark_since"])
    assert (dark["is_dark"], since.utcoffset()) == (True, timedelta(0))
    assert timedelta(minutes=20) <= datetime.now(UTC) - since < timedelta(minutes=25)
    assert "The first 1 of 4" in fleet.out("status", "--limit", "1")


def test_status_of_a_site_lists_its_devices_the_worst_first(fleet: Fleet) -> None:
    fleet.heartbeats("b1", "b", *minutes(1))
    fleet.heartbeats("b2", "b", *minutes(9))
    fleet.heartbeats("b3", "b", *minutes(20))
    fleet.heartbeats("elsewhere", "c", *minutes(1))
    assert "Maintenance 1: device b3" in fleet.out("maintenance", "add", "--device", "b3")
    first, *table = fleet.out("status", "--site", "b").splitlines()
    assert first == "3 devices at site b: 1 online, 1 stale, 1 in maintenance"
    assert [line.split()[0] for line in table[2:]] == ["b2", "b1", "b3"]
    assert "stale, in maintenance" in table[-1]
    assert [row["device_id"] for row in fleet.json("status", "--site", "b")["devices"]] == ["b2", "b1", "b3"]
    unknown = fleet.call("status", "--site", "bb")
    assert (unknown.code, unknown.err) == (1, "error: no heartbeat of site bb is stored; there is b\n")


def test_while_we_are_deaf_status_says_so_and_nobody_falls_silent(fleet: Fleet) -> None:
    fleet.heartbeats("a1", "a", *minutes(4))
    assert "Deaf interval 1: from " in fleet.out("deaf", "add", "--from", "3m", "--note", "a broker")
    _, deaf, *_ = fleet.out("status").splitlines()
    assert deaf.startswith("We have been deaf since ")
    assert fleet.json("status")["fleet"]["unknown"] == 1
    fleet.out("deaf", "end", "1")
    assert fleet.json("status")["deaf_since"] is None
    listed = fleet.out("deaf", "list", "--all")
    assert "a broker" in listed
    assert listed.split()[:3] == ["number", "from", "until"]
    assert "No outage of ours lasts" in fleet.out("deaf", "list")


def test_silences_are_those_of_the_ledger_and_those_that_last(fleet: Fleet) -> None:
    fleet.heartbeats("a1", "a", *minutes(60, 50, 49, 1))
    fleet.heartbeats("b1", "b", *minutes(30))

    def found(*arguments: str) -> list[tuple[str, int, bool]]:
        return [
            (row["device_id"], round(row["length_s"] / 60), row["silent_to"] is None)
            for row in fleet.json("silences", *arguments)
        ]

    open_one, newer, older = ("b1", 30, True), ("a1", 48, False), ("a1", 10, False)
    assert found() == [open_one, newer, older]
    assert found("--open") == [open_one]
    assert found("--device", "a1") == [newer, older]
    assert found("--site", "b") == [open_one]
    assert found("--until", "45m") == [newer, older]
    assert found("--since", "45m") == [open_one, newer]
    assert found("--limit", "1") == [open_one]
    shown = fleet.out("silences")
    assert "not yet" in shown.splitlines()[2]
    assert "counts" not in shown
    fleet.out("policy", "set", "15m", "--device", "a1")
    assert [line.split()[-2] for line in fleet.out("silences").splitlines()[2:]][1:] == ["yes", "no"]


def test_device_shows_what_is_known_of_it(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(42, 41, 2, 1), status="degraded", agent_version="1.0.0")
    fleet.out("policy", "set", "5m", "--site", "north")
    fleet.out("maintenance", "add", "--site", "north", "--from", "+1h", "--note", "new fans")
    shown = fleet.out("device", "unit-1")
    assert shown.startswith("unit-1 at north is online\n")
    shown = " ".join(shown.split())
    for said in ("status degraded, agent 1.0.0", "5 min, the rule of site north", "(new fans)", "a silence of 39 min"):
        assert said in shown
    found = fleet.json("device", "unit-1")
    assert (found["stale_after_s"], found["rule"]) == (300, {"scope": "site", "subject": "north"})
    assert [round(row["length_s"]) for row in found["silences"]] == [39 * 60]
    assert found["availability_30_days"]["silences"] == 1
    unknown = fleet.call("device", "unit-l")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == "error: no heartbeat of device unit-l is stored; there is unit-1\n"
    fleet.heartbeats("unit-12", "north", *minutes(1))
    fleet.heartbeats("unit-13", "north", *minutes(1))
    assert fleet.call("device", "UNIT-").err.endswith("; there is unit-1, unit-12, unit-13\n")


def test_report_is_exact_and_maintenance_and_outages_correct_it_afterwards(october: Fleet) -> None:
    period = ("--since", "2024-10-25", "--until", "2024-10-31T00:00:00")

    def found(*arguments: str) -> tuple[float, ...]:
        [row] = json.loads(october.out("report", *period, "--format", "json", *arguments))["rows"]
        names = ("availability_pct", "silences", "silent_s", "observed_s", "longest_s", "mean_time_to_return_s")
        return tuple(row[name] for name in names)

    day = 86_400
    assert found() == (50.0, 1, 3 * day, 6 * day, 3 * day, 3 * day)
    october.out("maintenance", "add", "--site", "north", "--from", "2024-10-28", "--until", "2024-10-29")
    assert found("--by", "device") == (60.0, 1, 2 * day, 5 * day, 2 * day, 2 * day)
    october.out("deaf", "add", "--from", "2024-10-29T02:00+02:00", "--until", "2024-10-29T12:00")
    assert found("--site", "north") == (round(100 * 3 / 4.5, 7), 1, 1.5 * day, 4.5 * day, 1.5 * day, 1.5 * day)
    october.out("maintenance", "end", "1", "--at", "2024-10-28T06:00")
    assert found()[2:4] == (2.25 * day, 5.25 * day)


def test_report_as_a_table_and_as_csv(october: Fleet) -> None:
    october.heartbeats("unit-2", "south", *(f"2024-10-{day:02}T00:00:00Z" for day in range(1, 32)))
    october.heartbeats("unit-2", "south", "2024-11-01T00:00:00Z")
    period, *table = october.out("report", "--month", "2024-10").splitlines()
    assert period == "2024-10-01 00:00Z to 2024-11-01 00:00Z, without maintenance and our outages"
    # From the first heartbeat of the north on, seven days of which three were silent; rounded down, not up.
    assert [line.split()[:4] for line in table[2:]] == [["north", "1", "57.1428", "%"], ["south", "1", "100", "%"]]
    [row] = csv.DictReader(
        io.StringIO(october.out("report", "--month", "2024-10", "--site", "north", "--format", "csv"))
    )
    assert (row["device_id"], row["availability_pct"], row["silent_s"]) == ("unit-1", "57.1428571", "259200.0")
    _, *table = october.out("report", "--by", "device", "--month", "2024-10").splitlines()
    assert [line.split()[0] for line in table[2:]] == ["unit-1", "unit-2"]
    october.connection.execute("DELETE FROM device_state")
    assert october.out("report", "--format", "csv").startswith("site_id,devices,availability_pct,")


def test_a_hostile_name_is_shown_as_text_not_obeyed(fleet: Fleet) -> None:
    name = "[red]x\x1b[2J\x9b2J"
    fleet.connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES (%s, %s, now() - interval '1 day')",
        (name, name),
    )
    added = fleet.call("maintenance", "add", "--device", name, "--note", "\x1b[2J", "--from", "+1h")
    assert (added.code, "\x1b" in added.out) == (0, False)
    calls = (*READING, ("status", "--site", name), ("device", name), ("policy", "set", "5m", "--site", name))
    for arguments in (*calls, ("device", name + "?"), ("report", "--by", "device"), ("policy", "show")):
        if "--json" in arguments:
            continue
        ended = fleet.call(*arguments)
        assert "\x1b" not in ended.out + ended.err, arguments
        assert "\x9b" not in ended.out + ended.err, arguments
    assert "[red]x" in fleet.out("status")
