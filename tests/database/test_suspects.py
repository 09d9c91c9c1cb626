"""Devices refused for what nobody can foresee: remembered, sent apart, and taken again as soon as the database does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.store import device_state

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Handler = Callable[[object], Any]


@pytest.fixture
def handler_with_a_check(handler: Handler, connection: psycopg.Connection) -> Handler:
    connection.execute("ALTER TABLE device_state ADD CONSTRAINT full_load CHECK (cpu_pct <= 100)")
    return handler


def _beats(**loads: float) -> list[object]:
    return [{"device_id": device, "site_id": "s", "cpu_pct": load} for device, load in loads.items()]


def test_a_suspect_may_be_forgotten_for_a_newer_one_while_it_is_cleared(
    handler_with_a_check: Handler, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_state, "_MOST_SUSPECTS", 2)
    assert handler_with_a_check(_beats(a=101, b=101))["statusCode"] == 400
    answer = handler_with_a_check(_beats(a=100, c=101))  # c pushes a out
    body = json.loads(answer["body"])
    assert body["updated_devices"] == ["a"]
    assert [found["device_id"] for found in body["rejected"]] == ["c"]
    assert connection.execute("SELECT device_id, cpu_pct FROM device_state").fetchall() == [("a", 100)]
