"""An HTTP server on this machine that stands in for API Gateway: requests become HTTP API events for the handler.

For people who write agents. It keeps to the event's form ("Create AWS Lambda proxy integrations for HTTP APIs",
payload format 2.0) and to the gateway's limit of a body; it authenticates nobody.
"""

from __future__ import annotations

import sys
import time
import traceback
import uuid
from base64 import b64encode
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.handler import lambda_handler

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
BODY_LIMIT = 10 * 1024 * 1024  # bytes ("Quotas for configuring and running an HTTP API")
_JSON = {"content-type": "application/json"}
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


class Gateway(ThreadingHTTPServer):
    """Listens on 127.0.0.1 and calls the handler for one request at a time, as one Lambda container would.

    `heard` is told method, path, status and milliseconds of every request.
    """

    daemon_threads = True

    def __init__(self, port: int, heard: Callable[[str, str, int, float], None]) -> None:
        super().__init__((HOST, port), _Request)
        self._container = Lock()
        self.heard = heard

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client has hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.server_port}"

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
            self.heard(http["method"], http["path"], answer["statusCode"], (time.perf_counter() - started) * 1000)
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
        self.server.heard(self.command or "-", getattr(self, "path", "-"), code, 0.0)
        self._answer(code, _JSON, f'{{"message":"{HTTPStatus(code).phrase}"}}'.encode())

    def _take(self) -> None:
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
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            self.send_error(HTTPStatus.REQUEST_TIMEOUT)
            return
        if len(body) < length:  # what has come may be whole JSON all the same
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        answer = self.server.call(self._event(body))
        self._answer(answer["statusCode"], answer["headers"], answer["body"].encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _event(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            known = headers.get(name.lower())
            headers[name.lower()] = value if known is None else f"{known},{value}"
        now = datetime.now(UTC)
        content, encoded = _content(body, headers.get("content-type", ""))
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "local",
                "domainName": headers.get("host", ""),
                "domainPrefix": "local",
                "http": {
                    "method": self.command,
                    "path": path,
                    "protocol": self.request_version,
                    "sourceIp": self.client_address[0],
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "routeKey": "$default",
                "stage": "$default",
                "time": f"{now:%d/%b/%Y:%H:%M:%S} +0000",
                "timeEpoch": int(now.timestamp() * 1000),
            },
            **({"body": content} if body else {}),
            "isBase64Encoded": encoded,
        }


def _content(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the body as the event holds it: text of a known type as it is, anything else in base64."""
    if content_type.lower().startswith(_TEXT):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b64encode(body).decode(), True
