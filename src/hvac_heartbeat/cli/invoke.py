"""Sends events through the function's own handler, as Lambda would, and keeps its log lines apart."""

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any, NamedTuple

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.cli.errors import CallRefused, DatabaseRefused
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.lambda_context import LambdaContext

_VERDICTS = ("updated", "outdated", "rejected", "failed")


class Invocation(NamedTuple):
    """One call of the handler: its answer and the log lines it wrote."""

    answer: Any
    log: str

    @property
    def summary(self) -> str:
        """How many heartbeats ended how. Many triggers' answers do not say, but the log line does."""
        return _summary(self.log)

    @property
    def is_good(self) -> bool:
        """Whether everything in the event was taken."""
        status = self.answer.get("statusCode", 200) if isinstance(self.answer, dict) else 200
        counted = _counts(self.log)
        return status == 200 and not counted.get("rejected") and not counted.get("failed")  # noqa: PLR2004 - HTTP


def invoke(event: object) -> Invocation:
    """Call the handler.

    Raises:
        DatabaseRefused: when the function wants the event to be sent again.
    """
    log = io.StringIO()
    os.environ["HEARTBEAT_LOG"] = "each"  # the counts are in the invocation's own line
    try:
        with contextlib.redirect_stdout(log):
            answer = lambda_handler(event, LambdaContext())
    except StoreUnavailable as failure:
        raise DatabaseRefused(f"{_summary(log.getvalue())}: {failure.in_full}") from failure
    return Invocation(answer, log.getvalue())


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


def _counts(log: str) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
    return next((line for line in reversed(lines) if line["message"] == "invocation"), {})


def _summary(log: str) -> str:
    counted = _counts(log)
    if "fleet_devices" in counted:
        return f"{counted['stale_devices']} of {counted['fleet_devices']} devices are stale"
    told = ", ".join(f"{counted[verdict]} {verdict}" for verdict in _VERDICTS if counted.get(verdict))
    return told or "no heartbeat was written"
