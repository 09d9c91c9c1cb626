"""An HTTP server on this machine that stands in for API Gateway: requests become HTTP API events for the handler.

It keeps to the gateway's limit of a body. What the routes know is answered beside the handler, and neither waits for
the other.
"""

from __future__ import annotations

import socket
import sys
import time
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.local.http_event import http_api_event, joined
from hvac_heartbeat.local.web.access import LONGEST_FORM, Access
from hvac_heartbeat.local.web.routes import Answer, Request, Routes

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
BODY_LIMIT = 10 * 1024 * 1024  # bytes ("Quotas for configuring and running an HTTP API")
_JSON = {"content-type": "application/json"}
_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # without any, browsers send our own form with the Origin null
    "x-content-type-options": "nosniff",
}


class Exchange(msgspec.Struct, frozen=True):
    """A request that was answered; `is_read` says that it was by a route, and not by the handler."""

    method: str
    path: str
    status: int
    milliseconds: float
    is_read: bool = False


class Gateway(ThreadingHTTPServer):
    """Calls the handler for one request at a time, as one Lambda container would, and routes for any number.

    `heard` is told of each request.
    """

    daemon_threads = True
    request_queue_size = 128  # a fleet begins to send all at once

    def __init__(
        self, host: str, port: int, heard: Callable[[Exchange], None], *, routes: Routes, access: Access
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Request)
        self._host = host
        self._container = Lock()
        self.is_closed = False
        self.heard = heard
        self.routes = routes
        self.access = access

    def server_close(self) -> None:
        """Close it; what still comes over open connections gets no answer."""
        self.is_closed = True
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client has hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_port}"

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the handler's answer; an error in the function is the gateway's own 500."""
        started = time.perf_counter()
        with self._container:
            try:
                answer: Any = lambda_handler(event, None)
            except Exception:  # noqa: BLE001 - as API Gateway, which lets no error of a function end it
                traceback.print_exc()
                answer = {"statusCode": 500, "headers": _JSON, "body": '{"message":"Internal Server Error"}'}
            http = event["requestContext"]["http"]
            # Still one at a time: who listens may look at the log lines of this very request.
            took_ms = (time.perf_counter() - started) * 1000
            self.heard(Exchange(http["method"], http["path"], answer["statusCode"], took_ms))
        found: dict[str, Any] = answer
        return found


class _Request(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1  # head and body in one packet, or the client's delayed acknowledgement adds 40 ms to every answer

    def __getattr__(self, name: str) -> Any:
        """Take every method alike; which ones are allowed is the handler's to say."""
        if name.startswith("do_"):
            return self._take
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Say nothing: the gateway's owner hears of each request."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer in JSON, as API Gateway does; the handler never hears of the request."""
        self.close_connection = True
        self.server.heard(Exchange(self.command or "-", getattr(self, "path", "-"), code, 0.0))
        self._answer(code, _JSON, f'{{"message":"{HTTPStatus(code).phrase}"}}'.encode())

    def _take(self) -> None:
        if self.server.is_closed:
            self.close_connection = True
            return
        length = self.headers.get("content-length", "0")
        if not (self.command.isascii() and self.command.isprintable() and self.path.isprintable()):
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif "transfer-encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif len(length) > len(str(BODY_LIMIT)) or int(length) > BODY_LIMIT:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._pass_on(int(length))

    def _pass_on(self, length: int) -> None:
        headers = joined(self.headers.items())
        try:
            # Without the token nobody fills our memory, and is answered as everybody is: when all has come.
            body = self.rfile.read(length if self.server.access.knows(headers) else min(length, LONGEST_FORM))
            missing = length - len(body)
            while missing and (dropped := self.rfile.read(min(missing, LONGEST_FORM))):
                missing -= len(dropped)
        except TimeoutError:
            self.send_error(HTTPStatus.REQUEST_TIMEOUT)
            return
        if missing:  # what has come may be whole JSON all the same
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        started = time.perf_counter()
        if (read := self._read(body, headers)) is not None:
            took_ms = (time.perf_counter() - started) * 1000
            self.server.heard(Exchange(self.command, self.path, read.status, took_ms, is_read=True))
            self._answer(read.status, {"content-type": read.content_type, **read.headers}, read.body)
            return
        answer = self.server.call(http_api_event(self, body, headers))
        self._answer(answer["statusCode"], answer["headers"], answer["body"].encode())

    def _read(self, body: bytes, headers: dict[str, str]) -> Answer | None:
        """Answer what is not the handler's: who may not ask, and what a route knows."""
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, headers)
        try:
            return self.server.access.refusal(request, body) or self.server.routes.answer(request)
        except Exception:  # noqa: BLE001 - one view's error must not end the others' connections
            traceback.print_exc()
            return Answer(b'{"message":"Internal Server Error"}', status=HTTPStatus.INTERNAL_SERVER_ERROR)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **headers}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
