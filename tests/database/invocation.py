"""One invocation of the function as Lambda makes it, and what the caller may believe afterwards."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

T = TypeVar("T")
_IN_THREAD = "in thread"


class Context:
    """Lambda's context: so many seconds are left from now on."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


@dataclass
class Delivery:
    """What the caller was told of every device."""

    acknowledged: set[str] = field(default_factory=set)
    failure: StoreUnavailable | None = None
    seconds: float = 0.0


def deliver(*devices: str, seconds: float = 20.0) -> Delivery:
    """Send one heartbeat of each device in one direct invocation."""
    event = {"devices": [{"device_id": device, "site_id": "site"} for device in devices]}
    started = time.monotonic()
    result = Delivery()
    try:
        answer: Any = lambda_handler(event, Context(seconds))
        assert answer["statusCode"] in {200, 207}, answer
        body = json.loads(answer["body"])
        result.acknowledged = {*body["updated_devices"], *body.get("outdated_devices", [])}
    except StoreUnavailable as failure:
        result.failure = failure
    result.seconds = time.monotonic() - started
    assert result.seconds < seconds, "Lambda would have ended the invocation"
    return result


def check(result: Delivery, connection: psycopg.Connection, *devices: str) -> None:
    """Hold what the caller was told against the table: acknowledged is written, and all else was reported failed."""
    found = {device for (device,) in connection.execute("SELECT device_id FROM device_state").fetchall()}
    assert result.acknowledged <= found
    assert result.acknowledged == set(devices) or result.failure is not None


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Do something in a thread of its own, such as an invocation."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name=_IN_THREAD, daemon=True).start()
    return future


def join_threads() -> None:
    """Wait for what a test that has failed left running, so that the next one is not disturbed by it."""
    for thread in threading.enumerate():
        if thread.name == _IN_THREAD:
            thread.join(30)


def wait_until(happened: Callable[[], object], seconds: float = 10.0) -> None:
    """Look until something has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
