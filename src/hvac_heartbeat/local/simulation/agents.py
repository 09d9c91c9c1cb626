"""The ways to the function: over HTTP, as agents and gateways do it, or by a call of the handler in this process."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.local.lambda_context import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from hvac_heartbeat.local.fleet import Heartbeat
    from hvac_heartbeat.local.simulation.account import Verdict

_TIMEOUT_S = 10.0

Answer: TypeAlias = tuple[int, dict[str, Any]]  # a status of HTTP and what came with it


class Away(HvacHeartbeatError):
    """Nobody took the heartbeats; the message says why. Not certain: they may have been written all the same."""

    def __init__(self, reason: str, *, is_certain: bool) -> None:
        super().__init__(reason)
        self.is_certain = is_certain


class HttpAgent:
    """Makes requests over a connection that each thread keeps; closed at the end of a `with`."""

    def __init__(self, url: SplitResult, token: str | None = None) -> None:
        self._connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = url.hostname or "", url.port
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._kept = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request opens its own again."""
        for connection in self._opened:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Make a request with a body of JSON.

        Raises:
            Away: when no answer came.
        """
        connection = self._own_connection()
        was_open = connection.sock is not None
        text = None if body is None else json.dumps(body)
        try:
            return _exchange(connection, method, path, text, self._headers)
        except (OSError, http.client.HTTPException) as error:
            if was_open and not isinstance(error, TimeoutError):  # closed for idleness just as it was used again
                return self.ask(method, path, body)
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Away(reason, is_certain=isinstance(error, ConnectionRefusedError)) from error

    def _own_connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = self._connect(self._host, self._port, timeout=_TIMEOUT_S)
            self._opened.append(connection)
        return connection


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, text: str | None, headers: dict[str, str]
) -> Answer:
    try:
        connection.request(method, path, text, headers)  # opens the connection where it is closed
        response = connection.getresponse()
        return response.status, _decoded(response.read())
    except BaseException:
        connection.close()
        raise


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"message": text[:80].decode(errors="replace")}


def handler_agent(event: dict[str, Any]) -> Answer:
    """Call the handler with a direct event; it connects to the database that DB_* names.

    Raises:
        Away: when the function wants the event to be sent again.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where Lambda collects the log
            answer: Any = lambda_handler(event, LambdaContext())
    except StoreUnavailable as failure:
        raise Away(failure.in_full, is_certain=False) from failure
    return answer["statusCode"], json.loads(answer["body"])


def verdicts(beats: Sequence[Heartbeat], status: int, body: dict[str, Any]) -> list[Verdict]:
    """Return what an answer says of each heartbeat; what it does not name was rejected.

    Raises:
        Away: when it could not write, or there were too many requests at once.
    """
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Away(f"{status} {body.get('message', '')}", is_certain=False)
    updated, outdated = {*body.get("updated_devices", ())}, {*body.get("outdated_devices", ())}
    return [
        "written" if beat.device in updated else "outdated" if beat.device in outdated else "rejected" for beat in beats
    ]
