"""The gateway with the read API, in this process, on a fleet with a ledger."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws.handler import reset
from hvac_heartbeat.local.gateway import Exchange, Gateway
from hvac_heartbeat.local.web import api
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes
from tests.database.read_model.conftest import bare, fleet, model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hvac_heartbeat.local.read_model.model import ReadModel
    from hvac_heartbeat.local.web.routes import View

__all__ = ["bare", "fleet", "model"]


@dataclass
class Client:
    """Asks a gateway, whose every exchange is in `heard`."""

    port: int
    heard: list[Exchange] = field(default_factory=list)

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send one request, with `if_none_match` for If-None-Match; return the response and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """Read a path, which must be there."""
        response, body = self.ask(path)
        assert response.status == 200, body
        return json.loads(body)

    def refused(self, path: str) -> tuple[int, Any]:
        """Read a path, which must be refused; return the status and the answer."""
        response, body = self.ask(path)
        return response.status, json.loads(body)


@contextmanager
def listening(views: Mapping[str, View], token: str | None = None) -> Iterator[Client]:
    """Run a gateway in a thread."""
    heard: list[Exchange] = []
    with Gateway("127.0.0.1", 0, heard.append, routes=Routes(views), access=Access(token)) as gateway:
        thread = Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Client(gateway.server_port, heard)
        gateway.shutdown()
        thread.join()
    reset()


@pytest.fixture
def client(model: ReadModel) -> Iterator[Client]:
    """Asks the read API of the test's database."""
    with listening(api.routes(model)) as client:
        yield client
