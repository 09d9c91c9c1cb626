"""`hvac-heartbeat sweep`, `episodes` and `messages`, as a person on duty calls them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.database.dark_site import darken
from tests.end_to_end.command import is_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.end_to_end.command import Ended


@pytest.fixture
def dark(connection: psycopg.Connection, environment: dict[str, str]) -> None:
    """Building-a has been silent for five minutes; six others are well."""
    darken(connection, "building-a", device="ahu-")


@pytest.mark.usefixtures("dark")
def test_sweep_says_what_it_found_and_tells_once(hvac: Callable[..., Ended]) -> None:
    ended = hvac("sweep")
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first == "9 devices, 3 stale; 3 fell silent, 0 are back."
    assert second.startswith("Silence Opened: building-a: 3 of 3 silent since ")
    assert hvac("sweep").out == "9 devices, 3 stale; 0 fell silent, 0 are back.\n"


@pytest.mark.usefixtures("dark")
def test_episodes_and_messages_show_what_was_told(hvac: Callable[..., Ended], connection: psycopg.Connection) -> None:
    hvac("sweep")
    lines = hvac("episodes").out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["ahu-1", "ahu-2", "ahu-3"]
    assert all("yes" in line for line in lines[2:])
    assert hvac("episodes", "--site", "s4").out.startswith("There is no episode")
    for command in ("episodes", "messages"):
        misspelt = hvac(command, "--site", "building-b")
        assert (misspelt.code, misspelt.out, is_one_line(misspelt.err)) == (1, "", True)
        assert "no heartbeat of site building-b is stored; there is building-a" in misspelt.err
    assert "nobody yet" in hvac("messages").out
    connection.execute("UPDATE device_state SET last_seen_ts = now()")
    hvac("sweep")
    assert hvac("episodes", "--open").out.startswith("There is no episode")
    [message] = json.loads(hvac("messages", "--undelivered", "--json").out)
    assert (message["kind"], message["site_id"], message["body"]["devices"]) == ("Silence Opened", "building-a", 3)
    episodes = json.loads(hvac("episodes", "--json").out)
    assert len(episodes) == 3
    assert all(300 <= episode["lasted_s"] < 360 for episode in episodes), "from silent_from to the return"
    connection.execute(
        "INSERT INTO silence_message (dedup_id, kind, scope, site_id, body, created_at, next_attempt_at)"
        " SELECT 'another', kind, scope, site_id, body, created_at, next_attempt_at FROM silence_message"
    )
    assert hvac("messages", "--limit", "1").out.splitlines()[-1].startswith("The first 1 of more")
    assert len(json.loads(hvac("episodes", "--json", "--limit", "2").out)) == 2
    assert hvac("episodes", "--limit", "2").out.splitlines()[-1].startswith("The first 2 of more")


@pytest.mark.usefixtures("dark")
def test_deliver_without_a_channel_is_an_error(hvac: Callable[..., Ended]) -> None:
    ended = hvac("sweep", "--deliver")
    assert ended.code == 2
    assert is_one_line(ended.err)
    assert "HEARTBEAT_WEBHOOK_URL" in ended.err


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", ["sweep", "episodes", "messages"])
def test_where_nobody_is_told_it_says_what_makes_it_so(command: str, hvac: Callable[..., Ended]) -> None:
    ended = hvac(command)
    assert ended.code == 1
    assert is_one_line(ended.err)
    assert "there is no outbox of messages here: `hvac-heartbeat migrate` makes it" in ended.err
