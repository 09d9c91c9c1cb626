"""What the commands on the ledger of silence change, and what they refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.end_to_end.command import is_one_line
from tests.end_to_end.fleet import minutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Database
    from tests.end_to_end.command import Ended
    from tests.end_to_end.fleet import Fleet


def test_a_rule_holds_for_the_past_and_the_narrowest_wins(fleet: Fleet) -> None:
    fleet.heartbeats("a1", "a", *minutes(8))

    def holding() -> tuple[int, int]:
        return fleet.json("status")["fleet"]["stale"], fleet.json("policy", "show", "--device", "a1")["stale_after_s"]

    assert holding() == (1, 120)
    assert fleet.out("policy", "set", "10m").splitlines() == [
        "A device is stale after 10 min: the rule of the fleet.",
        "`hvac-heartbeat stale` reads v_devices_stale, which still says 120 seconds:",
        "README.md has a view that follows the rules.",
    ]
    assert holding() == (0, 600)
    fleet.out("policy", "set", "5m", "--site", "a")
    assert holding() == (1, 300)
    fleet.out("policy", "set", "1h", "--device", "a1")
    assert holding() == (0, 3600)
    rules = [(rule["scope"], rule["subject"], rule["stale_after_s"]) for rule in fleet.json("policy", "show")]
    assert rules == [("fleet", "", 600), ("site", "a", 300), ("device", "a1", 3600)]
    assert "5 min: the rule of site a" in fleet.out("policy", "clear", "--device", "a1")
    fleet.out("policy", "clear", "--site", "a")
    assert "stale after 2 min: no rule is set" in fleet.out("policy", "clear")
    assert "There was no rule of the fleet" in fleet.out("policy", "clear")


def test_a_name_that_was_never_heard_is_taken_with_a_note(fleet: Fleet) -> None:
    fleet.heartbeats("unit-1", "north", *minutes(1))
    ended = fleet.call("policy", "set", "5m", "--site", "nort")
    assert ended.code == 0
    assert ended.err == "note: no heartbeat of site nort is stored; there is north\n"
    assert fleet.call("maintenance", "add", "--device", "new").err.startswith("note: ")


def test_maintenance_is_listed_ended_and_removed(fleet: Fleet) -> None:
    fleet.heartbeats("a1", "a", *minutes(8))
    assert "from 2024-01-01 00:00Z until it is ended (roof)" in fleet.out(
        "maintenance", "add", "--site", "a", "--from", "2024-01-01", "--note", "roof"
    )
    counts = fleet.json("status")["fleet"]
    assert (counts["devices"], counts["stale"], counts["in_maintenance"]) == (1, 0, 1)
    fleet.out("maintenance", "add", "--device", "a1", "--from", "+1h")
    assert [row["subject"] for row in fleet.json("maintenance", "list")] == ["a1", "a"]
    assert [row["id"] for row in fleet.json("maintenance", "list", "--site", "a")] == [1]
    assert fleet.out("maintenance", "end", "2") == "Maintenance 2 had not begun; it is removed.\n"
    fleet.out("maintenance", "end", "1")
    again = fleet.call("maintenance", "end", "1")
    assert (again.code, is_one_line(again.err), "--at gives it another end" in again.err) == (1, True, True)
    assert "until 2024-01-02 00:00Z" in fleet.out("maintenance", "end", "1", "--at", "2024-01-02")
    assert fleet.json("maintenance", "list") == []
    assert [row["note"] for row in fleet.json("maintenance", "list", "--all")] == ["roof"]
    unknown = fleet.call("maintenance", "end", "7")
    assert (unknown.code, "there is no maintenance 7" in unknown.err) == (1, True)


def test_end_needs_a_time_after_the_beginning(fleet: Fleet) -> None:
    fleet.out("deaf", "add", "--from", "2024-10-01", "--until", "2024-10-02")
    ended = fleet.call("deaf", "end", "1", "--at", "2024-10-01")
    assert (ended.code, is_one_line(ended.err), "'--at'" in ended.err) == (2, True, True)


def test_a_role_without_a_right_is_told_which(
    fleet: Fleet, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    fleet.connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reader'".encode())
    try:
        monkeypatch.setenv("DB_USER", role)
        monkeypatch.setenv("DB_PASSWORD", "reader")
        ended = fleet.call("status")
        assert (ended.code, is_one_line(ended.err)) == (1, True)
        assert "permission denied for view v_" in ended.err
        assert re.search(rf": GRANT SELECT ON v_\w+ TO {role};", ended.err), ended.err
        fleet.connection.execute(f"GRANT SELECT ON liveness_policy TO {role}".encode())
        ended = fleet.call("policy", "set", "5m")
        assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON liveness_policy TO {role};" in ended.err
    finally:
        fleet.connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("status", "--limit", "0"), "--limit"),
        (("status", "--site", ""), "--site"),
        (("status", "--site", "x" * 257), "--site"),
        (("silences", "--since", "yesterday"), "--since"),
        (("silences", "--since", "+1h"), "'--since': 20"),
        (("stale", "--site", ""), "--site"),
        (("episodes", "--site", ""), "--site"),
        (("stale", "--older-than", "300"), "write 5m or 300s"),
        (("silences", "--since", "1d", "--until", "2d"), "--until"),
        (("silences", "--device", "\udcff"), "--device"),
        (("device", " "), "ID"),
        (("device", "--limit", "3", "x"), "--limit"),
        (("device",), "ID"),
        (("policy", "set", "90s"), "LENGTH"),
        (("policy", "set", "soon"), "LENGTH"),
        (("policy", "set", "5m", "--site", "a", "--device", "b"), "--device"),
        (("maintenance", "add"), "--site"),
        (("maintenance", "add", "--site", "a", "--from", "2024-01-02", "--until", "2024-01-01"), "--until"),
        (("maintenance", "end", "one"), "NUMBER"),
        (("deaf", "add", "--from", "0001-01-01"), "--from"),
        (("deaf", "add", "--until", "2h"), "write +2h"),
        (("deaf", "end", "0"), "NUMBER"),
        (("report", "--month", "2024-13"), "--month"),
        (("report", "--month", "2024-10", "--since", "1d"), "--month"),
        (("report", "--month", "8999-12"), "--month"),
        (("report", "--since", "+1h"), "--since"),
        (("report", "--by", "room"), "write site or device"),
        (("report", "--format", "xml"), "--format"),
    ],
)
def test_a_wrong_call_is_one_line_that_names_the_option_with_2(
    hvac: Callable[..., Ended], no_settings: None, arguments: tuple[str, ...], option: str
) -> None:
    ended = hvac(*arguments)
    assert (ended.code, ended.out, is_one_line(ended.err)) == (2, "", True), ended
    assert option in ended.err
    assert "DB_HOST" not in ended.err
