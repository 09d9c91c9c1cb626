"""Databases of another encoding than UTF-8: one device has one row, and what has no place there is rejected."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest

from hvac_heartbeat.aws.handler import lambda_handler, reset
from hvac_heartbeat.local.page import views
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.web import api
from hvac_heartbeat.local.web.routes import Request, Routes
from hvac_heartbeat.settings import Settings
from tests.conftest import TABLE_AND_VIEW, Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import TestServer


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(
    request: pytest.FixtureRequest, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """A connection to a database of this encoding, to which the DB_* variables lead."""
    name = f"hvac_{uuid4().hex[:12]}"
    for variable in [name for name in os.environ if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG"))]:
        monkeypatch.delenv(variable)
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LOCALE 'C'")
        for variable, value in Database(name, server).environment.items():
            monkeypatch.setenv(variable, value)
        reset()
        with psycopg.connect(server.url(name), autocommit=True, client_encoding="UTF8") as connection:
            connection.execute(TABLE_AND_VIEW)
            yield connection
        reset()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _send(*devices: str, **more: object) -> dict[str, Any]:
    heartbeats = [{"device_id": device, "site_id": "Süd", **more} for device in devices]
    answer: Any = lambda_handler(heartbeats if len(heartbeats) > 1 else heartbeats[0], None)
    return {"status": answer["statusCode"], **json.loads(answer["body"])}


def _stored(connection: psycopg.Connection) -> list[tuple[str, str]]:
    found = connection.execute('SELECT device_id, site_id FROM device_state ORDER BY device_id COLLATE "C"')
    return [(device, site) for device, site in found.fetchall()]


def test_a_device_is_the_same_alone_and_in_a_batch(encoded: psycopg.Connection) -> None:
    assert _send("Zürich")["updated_devices"] == ["Zürich"]
    assert _send("Zürich", "b")["updated_devices"] == ["Zürich", "b"]
    assert _stored(encoded) == [("Zürich", "Süd"), ("b", "Süd")]


def test_a_heartbeat_that_is_late_is_not_taken_for_its_neighbours(encoded: psycopg.Connection) -> None:
    _send("Zürich", "b")
    late = {"device_id": "Zürich", "site_id": "s", "received_at": "2020-01-01T00:00:00Z"}
    answer: Any = lambda_handler([late, {"device_id": "b", "site_id": "s"}], None)
    body = json.loads(answer["body"])
    assert (body["updated_devices"], body["outdated_devices"]) == (["b"], ["Zürich"])
    assert _stored(encoded) == [("Zürich", "Süd"), ("b", "s")]


def test_a_character_that_the_database_lacks_rejects_its_own_heartbeat(encoded: psycopg.Connection) -> None:
    takes_any = encoded.execute("SHOW server_encoding").fetchone() == ("SQL_ASCII",)
    assert _send("日本")["status"] == (200 if takes_any else 400)
    assert _send("日本", "b")["status"] == (200 if takes_any else 207)
    assert [device for device, _ in _stored(encoded)] == (["b", "日本"] if takes_any else ["b"])


def test_what_cannot_be_stored_is_not_found(encoded: psycopg.Connection) -> None:
    _send("Zürich")
    model = ReadModel(Settings.from_environment(os.environ))
    routes = Routes(api.routes(model) | views.routes(model))
    name = quote("日本")
    for path, query in ((f"/devices/{name}", ""), (f"/sites/{name}", ""), ("/device", f"id={name}")):
        answer = routes.answer(Request("GET", path, query))
        assert answer is not None
        assert answer.status == 404
    assert (device := model.device("Zürich")) is not None
    assert device.site_id == "Süd"
    model.close()
