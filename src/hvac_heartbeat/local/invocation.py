"""The context of an invocation by hand: a person waits less patiently than Lambda does."""

from __future__ import annotations

import time

PATIENCE_S = 5.0


class Invocation:
    """What the handler asks of Lambda's context object (AWS Lambda Developer Guide, "context object in Python")."""

    aws_request_id = "by-hand"

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._ends = time.monotonic() + patience_s

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left, never below none."""
        return max(0, round((self._ends - time.monotonic()) * 1000))
