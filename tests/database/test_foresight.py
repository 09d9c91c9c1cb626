"""What the statement foresees is what the database refuses: no heartbeat is rejected that the database would take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.store import device_state

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Handler = Callable[[object], Any]

KEYS = """
CREATE TABLE devices (device_id text PRIMARY KEY);
CREATE TABLE sites (site_id text PRIMARY KEY);
INSERT INTO sites VALUES ('s');
ALTER TABLE device_state
    ADD CONSTRAINT known_device FOREIGN KEY (device_id) REFERENCES devices,
    ADD CONSTRAINT known_site FOREIGN KEY (site_id) REFERENCES sites;
"""
REGISTRY = """
CREATE TABLE registry (id text PRIMARY KEY);
INSERT INTO registry VALUES ('x'), ('y');
ALTER TABLE device_state ADD CONSTRAINT known_device FOREIGN KEY (device_id) REFERENCES registry;
"""
# Registers whoever speaks, as a fleet without a registry of its own may do.
REGISTER = """
CREATE FUNCTION register() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO devices VALUES (new.device_id) ON CONFLICT DO NOTHING;
    RETURN new;
END $$;
CREATE TRIGGER register BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION register();
"""


def _send(handler: Handler, *devices: str, site: str = "s") -> tuple[set[str], set[str]]:
    """Send a heartbeat of each device; return the updated and the rejected."""
    body = json.loads(handler([{"device_id": device, "site_id": site} for device in devices])["body"])
    return set(body["updated_devices"]), {found["device_id"] for found in body.get("rejected", [])}


@pytest.mark.parametrize(
    "change",
    ["SELECT", REGISTRY],
    ids=["dropped", "of another table"],
)
def test_a_key_that_no_longer_refuses_is_forgotten_in_a_warm_container(
    change: str, handler: Handler, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parents are still there, so nothing but another look tells."""
    connection.execute(KEYS)
    assert _send(handler, "x", "y") == (set(), {"x", "y"})
    connection.execute("ALTER TABLE device_state DROP CONSTRAINT known_device")
    connection.execute(change)
    monkeypatch.setattr(device_state, "_LOOK_LASTS_S", 0.0)  # as if that time had passed
    assert _send(handler, "x", "y") == ({"x", "y"}, set())
    assert _send(handler, "x") == ({"x"}, set())


def test_a_key_that_has_refused_nobody_is_not_foreseen(handler: Handler, connection: psycopg.Connection) -> None:
    """A trigger that registers new devices makes their parents in time, and only the database knows."""
    connection.execute(KEYS + REGISTER)
    assert _send(handler, "a", "b", site="nowhere") == (set(), {"a", "b"})
    assert _send(handler, "a", "b") == ({"a", "b"}, set())
    assert _send(handler, "c") == ({"c"}, set())


def test_both_keys_are_foreseen_once_both_have_refused(handler: Handler, connection: psycopg.Connection) -> None:
    connection.execute(KEYS)
    connection.execute("INSERT INTO devices VALUES ('a'), ('b')")
    for _ in range(2):
        assert _send(handler, "a", "x") == ({"a"}, {"x"})
        assert _send(handler, "b", site="nowhere") == (set(), {"b"})
