"""Opens a connection the way the function does, every wait of which ends at a deadline."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg import generators
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.credentials import credentials
from hvac_heartbeat.store.root_certificates import roots_for
from hvac_heartbeat.store.timeout import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.abc import PQGen, PQGenConn
    from psycopg.pq.abc import PGconn, PGresult

    from hvac_heartbeat.settings import Settings
    from hvac_heartbeat.store.credentials import Credentials

    Row = tuple[Any, ...]

T = TypeVar("T")

_ADDRESS_TIMEOUT_S: Final = 5.0  # for one address of the server, name and TLS and password included
_CANCEL_TIMEOUT_S: Final = 0.2  # within what is kept back of the invocation's time for the answer
# A host that is gone without a word (a failover) is noticed after these seconds, not when the time is up.
_DEAD_PEER_S: Final = 5

_DONE: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready
_EVENTS: Final = {_READ: select.POLLIN, _WRITE: select.POLLOUT, _READ | _WRITE: select.POLLIN | select.POLLOUT}


class DeadlinePassed(psycopg.OperationalError):
    """The server did not answer in time; what it does with the statement is not known."""


class BoundedConnection(psycopg.Connection["Row"]):
    """A connection that waits for its server until `deadline` and no longer.

    `deadline` is in seconds of `time.monotonic`. Done here rather than with statement_timeout: that takes a SET, which
    pins a connection of RDS Proxy, and a server that does not answer keeps to no timeout either.
    """

    deadline: float = math.inf

    def send(self, statement: bytes, parameters: Sequence[bytes | None], formats: Sequence[int] | None) -> PGresult:
        """Send one statement with parameters in PostgreSQL's own form, and return its answer as it came.

        Past the driver's cursor, which asks for the type of every value on the way there and back: for one heartbeat
        that is a third of the client's work (docs/performance.md). `formats` are libpq's, None for all text.

        Raises:
            psycopg.Error: as a cursor raises it.
        """
        self.pgconn.send_query_params(statement, parameters, param_formats=formats)
        result: PGresult = self.wait(generators.execute(self.pgconn))[-1]
        if result.status not in _DONE:
            raise error_from_result(result)
        return result

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:  # noqa: ARG002 - the driver's signature
        """Run one of the driver's exchanges with the server to its end.

        Raises:
            DeadlinePassed: the connection is of no use after that; close it.
        """
        fileno = self.pgconn.socket
        ready = 0
        try:
            wanted = next(gen)
            while True:
                ready = _await_socket(fileno, wanted, self.deadline)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def texts(answer: PGresult) -> list[list[str]]:
    """Return the rows of an answer as text; a null is an empty text."""
    return [
        [(answer.get_value(row, column) or b"").decode() for column in range(answer.nfields)]
        for row in range(answer.ntuples)
    ]


def connect(settings: Settings, deadline: float | None = None, *, fresh: bool = False) -> BoundedConnection:
    """Open a connection the way the function does: autocommit, and no statement is ever given a name.

    The deadline bounds all of it: the credentials, the server's name, TLS and the login. `fresh` reads the credentials
    past every cache. The connection itself has no deadline yet.

    Raises:
        StoreUnavailable: when the credentials cannot be had, or what they name cannot be a host.
        psycopg.Error: as the driver words it; `sqlstates` translates.
    """
    deadline = time.monotonic() + _ADDRESS_TIMEOUT_S if deadline is None else deadline
    login = credentials(settings, deadline, fresh=fresh)
    failure: psycopg.Error | None = None
    for host in login.host.split(","):
        for address in _addresses(host, login.port, deadline):
            try:
                return _connect_to(host, address, login, settings, deadline)
            except psycopg.OperationalError as error:
                failure = error
    raise failure or psycopg.OperationalError("the server's name leads to no address")


def _connect_to(
    host: str, address: str | None, login: Credentials, settings: Settings, deadline: float
) -> BoundedConnection:
    conninfo = make_conninfo(
        host=host,
        hostaddr=address,
        port=login.port,
        dbname=login.name,
        user=login.user,
        password=login.password,
        application_name="hvac-heartbeat",
        client_encoding="UTF8",  # in which `columns` packs; else libpq takes the database's, and ids would be garbled
        sslmode=settings.sslmode,
        # libpq verifies even under "require" when it is given roots.
        sslrootcert=(settings.sslrootcert or roots_for(host)) if settings.sslmode.startswith("verify") else None,
        gssencmode="disable",
        keepalives_idle=_DEAD_PEER_S,
        keepalives_interval=1,
        keepalives_count=3,
        tcp_user_timeout=_DEAD_PEER_S * 1000,
    )
    exchange = generators.connect(conninfo)
    deadline = min(deadline, time.monotonic() + _ADDRESS_TIMEOUT_S)
    connection = BoundedConnection(_open(exchange, deadline))
    connection.autocommit = True
    connection.prepare_threshold = None
    connection.cursor_factory = psycopg.RawCursor
    return connection


def _open(exchange: PQGenConn[PGconn], deadline: float) -> PGconn:
    try:
        fileno, wanted = next(exchange)
        while True:
            ready = _await_socket(fileno, wanted, deadline)
            fileno, wanted = exchange.send(ready)
    except StopIteration as end:
        opened: PGconn = end.value
        return opened


def cancel_and_close(connection: BoundedConnection) -> None:
    """Close a connection whose server has not answered, asking it to stop the statement but not waiting for that."""
    if psycopg.capabilities.has_cancel_safe():  # before libpq 17 a cancellation waits for as long as it takes
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
    connection.close()


def _await_socket(fileno: int, wanted: int, deadline: float) -> int:
    """Return what the socket is ready for, in the numbers of psycopg's Ready."""
    left = deadline - time.monotonic()
    if left > 0:
        waiting = select.poll()
        waiting.register(fileno, _EVENTS[wanted])
        # None, not infinity, stands for ever; rounded up so that the last millisecond is not spun away.
        for _, events in waiting.poll(None if left == math.inf else math.ceil(left * 1000)):
            ready = (_READ if events & select.POLLIN else 0) | (_WRITE if events & select.POLLOUT else 0)
            return ready or wanted  # an error or a hang-up: libpq will find out which
    raise DeadlinePassed("the server did not answer in time")


def _addresses(host: str, port: int, deadline: float) -> list[str | None]:
    """Look the name up, for no longer than there is time; libpq would do it itself, for as long as it takes."""
    if host.startswith(("/", "@")):
        return [None]
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    try:
        answers = within(
            min(deadline - time.monotonic(), _ADDRESS_TIMEOUT_S),
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP),
        )
    except TimeoutError:
        raise DeadlinePassed("the server's name was not found in time") from None
    except UnicodeError as error:
        raise StoreUnavailable("DB_HOST, or the host in the secret, cannot be the name of a host") from error
    except OSError as error:
        raise psycopg.OperationalError("the server's name cannot be found") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
