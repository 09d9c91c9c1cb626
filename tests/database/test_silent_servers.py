"""A server that says nothing is waited for as long as one that refuses, and a host that is gone is noticed."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import handler
from tests.database.hosts import FAR, come_back, host_before, vanish
from tests.database.invocation import deliver, in_thread, wait_until
from tests.database.servers import await_lock, backends, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from unittest.mock import Mock

    import psycopg

    from hvac_heartbeat.local.postgres import PostgresServer

LONGER_THAN_A_TURN_S = 6.0


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Have a server accept connections, as its kernel does, and say nothing on them."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def full(address: str, port: int = 0) -> Iterator[int]:
    """Listen where the kernel lets connections wait: nobody accepts, and the queue is full. Give the port."""
    with ExitStack() as taken:
        listener = taken.enter_context(socket.create_server((address, port), backlog=0))
        port = listener.getsockname()[1]
        while True:
            client = taken.enter_context(socket.socket())
            client.settimeout(0.5)
            try:
                client.connect((address, port))
            except TimeoutError:
                break
        yield port


@pytest.mark.slow
def test_a_server_that_is_silent_for_longer_than_a_turn_is_waited_for(
    admin: psycopg.Connection, fragile: PostgresServer, logins: Mock
) -> None:
    handler.reset()
    with stopped(fragile):
        delivery = in_thread(lambda: deliver("a", seconds=20))
        time.sleep(LONGER_THAN_A_TURN_S)
    assert delivery.result(20).acknowledged == {"a"}
    assert logins.call_count > 1


@pytest.mark.slow
@pytest.mark.parametrize("listener", ["accepts", "full"])
def test_a_server_that_stays_silent_is_waited_for_until_the_time_is_up(
    admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, logins: Mock, listener: str
) -> None:
    with ExitStack() as stack:
        if listener == "accepts":
            port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        else:
            port = stack.enter_context(full("127.0.0.1"))
        monkeypatch.setenv("DB_PORT", str(port))
        handler.reset()
        result = deliver("a", seconds=LONGER_THAN_A_TURN_S + 3)
    assert result.failure is not None
    assert result.seconds > LONGER_THAN_A_TURN_S
    assert logins.call_count > 1
    assert "cannot be reached" in str(result.failure)
    assert result.failure.where == f"127.0.0.1:{port}"
    assert result.failure.cause == "the server did not answer in time"


def test_a_silent_address_leaves_time_for_the_one_behind_it(
    admin: psycopg.Connection, fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.2,127.0.0.1")
    handler.reset()
    with full("127.0.0.2", fragile.port):
        result = deliver("a", seconds=6)
    assert result.acknowledged == {"a"}
    assert result.seconds > 1, "the silent one had its turn"


@pytest.fixture
def _host(admin: psycopg.Connection, fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host before the server, to which the function is connected."""
    with host_before(fragile):
        monkeypatch.setenv("DB_HOST", FAR)
        handler.reset()
        assert deliver("warm").acknowledged == {"warm"}
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_host")
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_host_that_is_gone_without_a_word_is_noticed_and_another_at_its_address_is_written_to(
    admin: psycopg.Connection, logins: Mock, size: int
) -> None:
    """As after a failover: the connection was idle when it happened, and the batch is sent into the void."""
    vanish()
    began = time.monotonic()
    delivery = in_thread(lambda: deliver(*(f"d{number}" for number in range(size)), seconds=30))
    wait_until(lambda: logins.call_count)
    assert 4 < time.monotonic() - began < 8
    come_back()
    assert len(delivery.result(20).acknowledged) == size


@pytest.mark.slow
@pytest.mark.usefixtures("_host")
def test_a_host_that_vanishes_while_it_works_is_noticed(
    admin: psycopg.Connection, fragile: PostgresServer, logins: Mock
) -> None:
    """It has acknowledged the statement: nothing is under way, and only keepalives can find it out."""
    with locked(fragile):
        delivery = in_thread(lambda: deliver("a", seconds=30))
        await_lock(admin)
        vanish()
        began = time.monotonic()
        wait_until(lambda: logins.call_count)
        assert 4 < time.monotonic() - began < 9
        come_back()
        wait_until(lambda: len(backends(admin)) > 1)
    assert delivery.result(20).acknowledged == {"a"}


@pytest.mark.slow
@pytest.mark.usefixtures("_host")
def test_a_host_whose_window_is_shut_is_alive(admin: psycopg.Connection, fragile: PostgresServer, logins: Mock) -> None:
    """The backend waits for a lock and reads nothing: the batch is stuck on the way, and the host answers probes."""
    devices = [f"device-{number:05}-{'x' * 200}" for number in range(10_000)]
    with locked(fragile, "SHARE"):
        delivery = in_thread(lambda: deliver(*devices, seconds=60))
        await_lock(admin)
        time.sleep(
            14
        )  # the kernel probes a shut window less and less often: by then there were 6 s between two answers
        assert not delivery.done()
    assert len(delivery.result(60).acknowledged) == len(devices)
    assert not logins.called
