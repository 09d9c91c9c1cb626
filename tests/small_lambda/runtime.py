"""The process inside the limits: a plain loop in place of Lambda's runtime client.

    python runtime.py SOCKET

Run as a script, not as a module of the tests, so that nothing is imported that Lambda would not import. What the real
client (awslambdaric) would add is held as ballast.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BALLAST_MIB = 2  # awslambdaric 4.2.2: 37.7 MiB resident with the function imported, this loop 35.8 (Python 3.11)


class Context:
    """What Lambda hands over beside the event."""

    function_name = "small-lambda"
    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the deadline, never below none."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)


def main(channel: int) -> None:
    """Answer events until the other side closes: a line with deadline and length, then the event; a line back."""
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "src")]
    from lambda_function import lambda_handler

    ballast = b"\1" * (BALLAST_MIB << 20)
    with os.fdopen(os.dup(channel), "rb") as events, os.fdopen(channel, "wb") as answers:
        answers.write(b'{"ready": true}\n')
        answers.flush()
        while header := events.readline():
            deadline, length = header.split()
            answers.write(_answer(events.read(int(length)), Context(float(deadline)), lambda_handler))
            answers.flush()
    del ballast


def _answer(payload: bytes, context: Context, handler: Callable[[object, object], object]) -> bytes:
    # As in the real client, the bytes and what was decoded from them are kept while the function works.
    try:
        event = json.loads(payload)
        answer = json.dumps({"answer": handler(event, context)})
    except Exception as error:  # noqa: BLE001 - handed to the other side, as the real client hands it to Lambda
        answer = json.dumps({"error": type(error).__name__, "message": str(error)})
    sys.stdout.flush()
    return answer.encode() + b"\n"


if __name__ == "__main__":
    main(int(sys.argv[1]))
