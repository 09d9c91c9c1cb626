"""A fleet behind the real gateway, and a browser that looks at it."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.aws import handler
from hvac_heartbeat.local.gateway import Exchange, Gateway
from hvac_heartbeat.local.page import views
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings
from tests.fleet_page.browser import chromium, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from playwright.sync_api import Browser, Page


REFRESH_S = 0.25


@dataclass
class Shown:
    """The fleet that is shown: heartbeats come in as agents send them, and time goes by in the table."""

    connection: psycopg.Connection
    url: str
    port: int
    heard: list[Exchange] = field(default_factory=list)

    def beat(self, *devices: tuple[str, str], **fields: object) -> None:
        """Send a heartbeat of each (device, site)."""
        beats = [{"device_id": device, "site_id": site, **fields} for device, site in devices]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/heartbeat", json.dumps({"devices": beats}))
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read()).get("ignored_fields")) == (200, None)
        connection.close()

    def silent(self, device: str, minutes: float) -> None:
        """Have a device's last heartbeat be that long ago."""
        self.connection.execute(
            "UPDATE device_state SET last_seen_ts = now() - make_interval(mins => %s) WHERE device_id = %s",
            [minutes, device],
        )

    def get(self, path: str, **headers: str) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser for the tests of this folder; it holds an event loop, so that it must not outlive them."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def shown(connection: psycopg.Connection, environment: dict[str, str]) -> Iterator[Shown]:
    """A fleet without a heartbeat, served."""
    schema.migrate(connection)
    connection.execute("UPDATE ledger_start SET started_at = now() - interval '90 days'")
    handler.reset()
    model = ReadModel(Settings.from_environment(environment))
    heard: list[Exchange] = []
    routes = Routes(views.routes(model, refresh_s=REFRESH_S))
    with Gateway("127.0.0.1", 0, heard.append, routes=routes, access=Access()) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Shown(connection, gateway.url, gateway.server_port, heard)
        gateway.shutdown()
        thread.join()
    model.close()
    handler.reset()


@pytest.fixture
def page(browser: Browser, shown: Shown) -> Iterator[Page]:
    """A window on the fleet; nothing may go wrong in it."""
    with opened(browser, shown.url) as (page, wrong):
        yield page
        assert wrong == []
