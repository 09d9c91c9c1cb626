"""Waits no longer than there is time: for the server's answer, and for what takes no timeout of its own."""

from __future__ import annotations

import math
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg import generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]

T = TypeVar("T")

# A host that is gone without a word (a failover) is noticed after these seconds, not when the time is up.
DEAD_PEER_S: Final = 5
_LOOK_EVERY_S: Final = 1.0
_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready
_EVENTS: Final = {_READ: select.POLLIN, _WRITE: select.POLLOUT, _READ | _WRITE: select.POLLIN | select.POLLOUT}
_DONE: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})


class DeadlinePassed(psycopg.OperationalError):
    """The server did not answer in time; what it does with the statement is not known."""


class BoundedConnection(psycopg.Connection["Row"]):
    """A connection that waits for its server until `deadline` and no longer; `where` is "host:port".

    `deadline` is in seconds of `time.monotonic`. Done here rather than with statement_timeout: that takes a SET, which
    pins a connection of RDS Proxy, and a server that does not answer keeps to no timeout either.
    """

    deadline: float = math.inf
    where: str = ""

    def send(self, statement: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        """Send one statement with parameters in PostgreSQL's own form, and return its answer as it came.

        Past the driver's cursor, which asks for the type of every value on the way there and back: for one heartbeat
        that is a third of the client's work (docs/performance.md). Raises psycopg.Error as a cursor does.
        """
        self.pgconn.send_query_params(statement, parameters)
        result: PGresult = self.wait(generators.execute(self.pgconn))[-1]
        if result.status not in _DONE:
            raise error_from_result(result)
        return result

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:  # noqa: ARG002 - the driver's signature
        """Run one of the driver's exchanges with the server to its end; after DeadlinePassed, close the connection."""
        fileno = self.pgconn.socket
        try:
            wanted = next(gen)
            while True:
                ready = await_socket(fileno, wanted, self.deadline, watch_peer=True)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def await_socket(fileno: int, wanted: int, deadline: float, *, watch_peer: bool = False) -> int:
    """Return what the socket is ready for; both numbers are of psycopg's Wait and Ready.

    Raises DeadlinePassed, or OperationalError when the host at the other end is watched and gone.
    """
    waiting = select.poll()
    waiting.register(fileno, _EVENTS[wanted])
    now = heard = time.monotonic()
    while now < deadline:
        # Rounded up, so that the last millisecond is not spun away.
        for _, events in waiting.poll(math.ceil(min(deadline - now, _LOOK_EVERY_S) * 1000)):
            ready = (_READ if events & select.POLLIN else 0) | (_WRITE if events & select.POLLOUT else 0)
            return ready or wanted  # an error or a hang-up: libpq will find out which
        now = time.monotonic()
        if watch_peer and _is_heard(fileno, now - heard):
            heard = now
        elif watch_peer and now - heard >= DEAD_PEER_S:
            raise psycopg.OperationalError(f"the server's host has acknowledged nothing for {DEAD_PEER_S} s")
    raise DeadlinePassed("the server did not answer in time")


def _is_heard(fileno: int, seconds: float) -> bool:
    """Say whether the host at the other end has in these seconds acknowledged what was sent to it, or had nothing to.

    Only one that acknowledges nothing is gone. One whose backend waits for a lock reads nothing, and a batch that does
    not fit into the buffers stays unsent, but the host answers every probe. TCP_USER_TIMEOUT would end both.
    """
    with socket.socket(fileno=os.dup(fileno)) as same:
        if same.family == socket.AF_UNIX or sys.platform != "linux":
            return True  # elsewhere keepalives and the deadline have to do
        info = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
    # Linux, include/uapi/linux/tcp.h, struct tcp_info: tcpi_probes, tcpi_unacked, tcpi_last_ack_recv (ms).
    probes, unacknowledged = info[3], int.from_bytes(info[24:28], sys.byteorder)
    last_ack_s = int.from_bytes(info[56:60], sys.byteorder) / 1000
    return not (probes or unacknowledged) or last_ack_s < seconds


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, and raise what it raises, or TimeoutError when it has not ended in time.

    It runs in a thread, because getaddrinfo, behind every look-up of a name, takes no timeout; one that never ends is
    left behind and holds nothing.
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
