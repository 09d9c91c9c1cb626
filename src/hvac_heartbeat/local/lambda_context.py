"""Lambda's context for an invocation by hand."""

from __future__ import annotations

import time

CALLER_TIMEOUT_S = 5.0  # a person waits less patiently than Lambda does


class LambdaContext:
    """What the handler asks of Lambda's context object (AWS Lambda Developer Guide, "context object in Python")."""

    aws_request_id = "by-hand"

    def __init__(self, timeout_s: float = CALLER_TIMEOUT_S) -> None:
        self._ends = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left, never less than nothing."""
        return max(0, round((self._ends - time.monotonic()) * 1000))
