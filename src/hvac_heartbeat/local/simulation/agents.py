"""The ways to the function: over HTTP, as agents and gateways do it, or by a call of the handler in this process."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.local.lambda_context import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from urllib.parse import SplitResult

    from hvac_heartbeat.local.fleet import Heartbeat
    from hvac_heartbeat.local.simulation.account import Verdict

_TIMEOUT_S = 10.0
_TRIES = 2  # a server may close a connection that was idle just as it is used again

Answer: TypeAlias = tuple[int, dict[str, Any]]  # a status of HTTP and what came with it


class Away(HvacHeartbeatError):
    """Nobody took the heartbeats; the message says why. Not certain: they may have been written all the same."""

    def __init__(self, reason: str, *, is_certain: bool) -> None:
        super().__init__(reason)
        self.is_certain = is_certain


def http_agent(url: SplitResult) -> Callable[[str, str, Any], Answer]:
    """Return what makes a request (method, path, JSON body) over a connection that each thread keeps.

    Raises:
        Away: from the call, when no answer came.
    """
    kept = threading.local()
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection

    def ask(method: str, path: str, body: Any = None) -> Answer:
        text = None if body is None else json.dumps(body)
        for attempt in range(_TRIES):
            is_new = attempt > 0 or getattr(kept, "connection", None) is None
            if is_new:
                kept.connection = connect(url.hostname or "", url.port, timeout=_TIMEOUT_S)
            try:
                kept.connection.request(method, path, text, {"content-type": "application/json"})
                response = kept.connection.getresponse()
                return response.status, _decoded(response.read())
            except (OSError, http.client.HTTPException) as error:
                kept.connection.close()
                kept.connection = None
                if is_new or isinstance(error, TimeoutError):
                    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    raise Away(reason, is_certain=isinstance(error, ConnectionRefusedError)) from error
        raise AssertionError  # the last try has a new connection

    return ask


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
        Away: when the answer is none of the function's, or it could not write.
    """
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Away(f"{status} {body.get('message', '')}", is_certain=False)
    updated, outdated = {*body.get("updated_devices", ())}, {*body.get("outdated_devices", ())}
    return [
        "written" if beat.device in updated else "outdated" if beat.device in outdated else "rejected" for beat in beats
    ]
