"""Opens a connection the way the function does, every wait of which ends at a deadline."""

from __future__ import annotations

import contextlib
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import msgspec
import psycopg
from psycopg import generators
from psycopg.conninfo import make_conninfo

from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.credentials import credentials
from hvac_heartbeat.store.root_certificates import roots_for
from hvac_heartbeat.store.timeout import DEAD_PEER_S, BoundedConnection, DeadlinePassed, await_socket, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.abc import PQGenConn
    from psycopg.pq.abc import PGconn, PGresult

_TURN_S: Final = 5.0  # for one name, and for one address of the server, TLS and login included
_CANCEL_TIMEOUT_S: Final = 0.4  # within what is kept back for the answer, TLS included

_encode = msgspec.json.Encoder().encode


class ConnectFailed(psycopg.OperationalError):
    """No server let us in. It says what the driver said of the last that was tried, which is `where` ("host:port").

    `cause` is the first line of that, and `timed_out` says that the server was silent.
    """

    def __init__(self, error: psycopg.Error, where: str, password: str | None = None) -> None:
        super().__init__(str(error))
        self.where = where
        self.timed_out = isinstance(error, DeadlinePassed)
        self.cause = first_line(error).removeprefix("connection failed: ")
        if password:  # no driver is known to quote it, and none is to be trusted with that
            self.cause = self.cause.replace(password, "…")


def texts(answer: PGresult) -> list[list[str]]:
    """Return the rows of an answer as text; a null is an empty text."""
    return [
        [(answer.get_value(row, column) or b"").decode() for column in range(answer.nfields)]
        for row in range(answer.ntuples)
    ]


def array(values: Sequence[object]) -> bytes:
    """Return values as an array in PostgreSQL's text form.

    That is JSON's but for the braces: both quote text, and escape quotes and backslashes, alike (PostgreSQL manual,
    "Array Input and Output"). They differ in control characters, and no heartbeat has any (`fields`).
    """
    return b"{" + _encode(values)[1:-1] + b"}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def connect(settings: Settings, deadline: float | None = None) -> BoundedConnection:
    """Open a connection the way the function does: autocommit, and no statement is ever given a name.

    The deadline bounds all of it: the credentials, the server's name, TLS and the login. The connection itself has no
    deadline yet. Raises CredentialsUnavailable, or ConnectFailed when no server lets us in.
    """
    deadline = time.monotonic() + _TURN_S if deadline is None else deadline
    login = credentials(settings, deadline)
    servers: list[tuple[str, str | None]] = []
    failure: ConnectFailed | None = None
    for host in login.host.split(","):
        try:
            servers += [(host, address) for address in _addresses(host, login.port, deadline)]
        except psycopg.OperationalError as error:
            failure = ConnectFailed(error, f"{host}:{login.port}")
    for tried, (host, address) in enumerate(servers):
        # A silent one leaves time for those behind it, and what is left after all of them is for another round.
        share = (deadline - time.monotonic()) / (len(servers) - tried)
        try:
            return _connect_to(host, address, login, time.monotonic() + min(share, _TURN_S))
        except psycopg.OperationalError as error:
            failure = ConnectFailed(error, f"{host}:{login.port}", login.password)
    raise failure or ConnectFailed(psycopg.OperationalError("the server's name has no address"), login.host)


def cancel_and_close(connection: BoundedConnection) -> None:
    """Close a connection whose server has not answered, asking it to stop the statement but not waiting for that."""
    if psycopg.capabilities.has_cancel_safe():  # before libpq 17 a cancellation waits for as long as it takes
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
    connection.close()


def _connect_to(host: str, address: str | None, login: Settings, deadline: float) -> BoundedConnection:
    conninfo = make_conninfo(
        host=host,
        hostaddr=address,
        port=login.port,
        dbname=login.name,
        user=login.user,
        password=login.password,
        application_name="hvac-heartbeat",
        client_encoding="UTF8",  # as heartbeats are sent; libpq would take the database's, and garble ids
        sslmode=login.sslmode,
        # libpq verifies even under "require" when it is given roots.
        sslrootcert=(login.sslrootcert or roots_for(host)) if login.sslmode.startswith("verify") else None,
        gssencmode="disable",
        # For a host that is gone after it has acknowledged everything; `await_socket` sees the others.
        keepalives_idle=DEAD_PEER_S,
        keepalives_interval=1,
        keepalives_count=2,
    )
    connection = BoundedConnection(_open(generators.connect(conninfo), deadline))
    connection.where = f"{host}:{login.port}"
    connection.autocommit = True
    connection.prepare_threshold = None
    connection.cursor_factory = psycopg.RawCursor
    return connection


def _open(exchange: PQGenConn[PGconn], deadline: float) -> PGconn:
    try:
        fileno, wanted = next(exchange)
        while True:
            ready = await_socket(fileno, wanted, deadline)
            fileno, wanted = exchange.send(ready)
    except StopIteration as end:
        opened: PGconn = end.value
        return opened


def _addresses(host: str, port: int | None, deadline: float) -> list[str | None]:
    """Look the name up, for no longer than there is time; libpq would do it itself, for as long as it takes."""
    if host.startswith(("/", "@")):
        return [None]
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    try:
        answers = within(
            min(deadline - time.monotonic(), _TURN_S),
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP),
        )
    except TimeoutError:
        raise DeadlinePassed("the server's name was not found in time") from None
    except (OSError, UnicodeError) as error:
        raise psycopg.OperationalError(f"the server's name cannot be found ({first_line(error)})") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
