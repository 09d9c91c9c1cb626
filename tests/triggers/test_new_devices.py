"""HEARTBEAT_NEW_DEVICES=reject: only devices that have a row already are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.answers import accepted, complaint, none_accepted

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.triggers.conftest import Function

NEVER_SEEN = ("device_id", "is a device never seen before, and new devices are not accepted")


@pytest.fixture
def _three_known(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, function: Function) -> None:
    connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES"
        " ('a', 's', now() - interval '1 day'), ('B', 's', now() - interval '1 day'), ('newer', 's', now())"
    )
    monkeypatch.setenv("HEARTBEAT_NEW_DEVICES", "reject")


@pytest.mark.usefixtures("_three_known")
def test_a_new_device_is_rejected_by_name_while_known_ones_are_written(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    before = seen()
    answer = function([{"device_id": d, "site_id": "s"} for d in ("z", "a", "B", "Ä", "a")])
    rejected = [complaint(0, "z", *NEVER_SEEN), complaint(3, "Ä", *NEVER_SEEN)]
    assert answer == {"statusCode": 207, "body": accepted("a", "B", rejected=rejected)}
    after = seen()
    assert after.keys() == before.keys()
    assert after["a"] > before["a"]
    assert after["newer"] == before["newer"]


@pytest.mark.usefixtures("_three_known")
def test_an_outdated_heartbeat_of_a_known_device_is_not_taken_for_a_new_device(function: Function) -> None:
    answer = function([{"device_id": d, "site_id": "s", "received_at": 1_700_000_000} for d in ("newer", "new")])
    rejected = [complaint(1, "new", *NEVER_SEEN)]
    assert answer == {"statusCode": 207, "body": accepted(outdated_devices=["newer"], rejected=rejected)}


@pytest.mark.usefixtures("_three_known")
def test_nothing_but_new_devices_is_answered_with_400(function: Function, seen: Callable[[], dict[str, Any]]) -> None:
    answer = function({"device_id": "new", "site_id": "s"})
    assert answer == {"statusCode": 400, "body": none_accepted(complaint(0, "new", *NEVER_SEEN))}
    assert "new" not in seen()


def test_new_devices_create_a_row_by_default(function: Function, seen: Callable[[], dict[str, Any]]) -> None:
    assert function({"device_id": "new", "site_id": "s"})["statusCode"] == 200
    assert list(seen()) == ["new"]
