"""Waits no longer than there is time: for a socket, and for what takes no timeout of its own."""

from __future__ import annotations

import math
import os
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# A host that is gone without a word (a failover) is noticed after these seconds, not when the time is up.
DEAD_PEER_S: Final = 5
_LOOK_EVERY_S: Final = 1.0
_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready
_EVENTS: Final = {_READ: select.POLLIN, _WRITE: select.POLLOUT, _READ | _WRITE: select.POLLIN | select.POLLOUT}


class DeadlinePassed(psycopg.OperationalError):
    """The server did not answer in time; what it does with the statement is not known."""


class Peer:
    """The host at the other end of a connection, which may be gone.

    Only one that acknowledges nothing is gone. One whose backend waits for a lock reads nothing, and a batch that does
    not fit into the buffers stays unsent, but the host answers every probe. TCP_USER_TIMEOUT would end both.
    """

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._heard = time.monotonic()

    def check(self) -> None:
        """Raise OperationalError where the host has left unanswered for long what was sent to it."""
        now = time.monotonic()
        with socket.socket(fileno=os.dup(self._fileno)) as same:
            if same.family == socket.AF_UNIX or sys.platform != "linux":
                return  # elsewhere keepalives and the deadline have to do
            info = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
        # Linux, include/uapi/linux/tcp.h, struct tcp_info: tcpi_probes, tcpi_unacked, tcpi_last_ack_recv (ms).
        probes, unacknowledged = info[3], int.from_bytes(info[24:28], sys.byteorder)
        last_ack_s = int.from_bytes(info[56:60], sys.byteorder) / 1000
        if not (probes or unacknowledged) or last_ack_s < now - self._heard:
            self._heard = now
        elif now - self._heard >= DEAD_PEER_S:
            raise psycopg.OperationalError(f"the server's host has acknowledged nothing for {DEAD_PEER_S} s")


def await_socket(fileno: int, wanted: int, deadline: float, peer: Peer | None = None) -> int:
    """Return what the socket is ready for; both numbers are of psycopg's Wait and Ready.

    Raises:
        DeadlinePassed: when it is ready for nothing until then.
        psycopg.OperationalError: when the peer is gone.
    """
    waiting = select.poll()
    waiting.register(fileno, _EVENTS[wanted])
    while (left := deadline - time.monotonic()) > 0:
        # Rounded up, so that the last millisecond is not spun away.
        for _, events in waiting.poll(math.ceil(min(left, _LOOK_EVERY_S) * 1000)):
            ready = (_READ if events & select.POLLIN else 0) | (_WRITE if events & select.POLLOUT else 0)
            return ready or wanted  # an error or a hang-up: libpq will find out which
        if peer is not None:
            peer.check()
    raise DeadlinePassed("the server did not answer in time")


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
