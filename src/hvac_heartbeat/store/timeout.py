"""Waits no longer than there is time for what has no timeout of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, and raise what it raises, if it ends in time.

    It runs in a thread, because getaddrinfo, behind every look-up of a name, takes no timeout; one that never ends is
    left behind and holds nothing.

    Raises:
        TimeoutError: when it has not ended in time.
    """
    results: list[T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as failure:  # noqa: BLE001 - raised again below, in the thread that asked
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(min(max(seconds, 0), threading.TIMEOUT_MAX))
    if failures:
        raise failures[0]
    if not results:
        raise TimeoutError
    return results[0]
