"""Sends events through the function's own handler, as Lambda would, and keeps its log lines apart."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.cli.errors import CallRefused, DatabaseRefused
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.invocation import Invocation


def play(event: object) -> tuple[object, str]:
    """Return the handler's answer and the log lines it wrote; raises DatabaseRefused when nothing was written."""
    log = io.StringIO()
    try:
        with contextlib.redirect_stdout(log):
            answer = lambda_handler(event, Invocation())
    except StoreUnavailable as failure:
        raise DatabaseRefused(f"nothing was written: {failure.in_full}") from failure
    return answer, log.getvalue()


def is_good(answer: object) -> bool:
    """Tell whether everything in the event was taken, from an answer of any trigger's form."""
    if not isinstance(answer, dict):
        return True
    status: Any = answer.get("statusCode", 200)
    return status == 200 and not answer.get("batchItemFailures")  # noqa: PLR2004 - an HTTP status


def read_event(text: str, source: str) -> Any:
    """Decode an event as Lambda's runtime does, which takes NaN too."""
    if not text.strip():
        raise CallRefused(f"{source} is empty: it must hold the event, as JSON")
    if text.startswith("\ufeff"):
        raise CallRefused(f"{source} is not JSON: it starts with a byte order mark; save it without one")
    try:
        return json.loads(text)
    except ValueError as error:
        raise CallRefused(f"{source} is not JSON: {error}") from error
    except RecursionError as error:
        raise CallRefused(f"{source} is not JSON that can be read: it is nested too deeply") from error
