"""A server that says nothing is waited for as long as one that refuses, and a host that is gone is noticed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import handler
from tests.database.invocation import deliver, meanwhile, wait_until
from tests.database.servers import await_lock, backends, locked
from tests.skips import skip_or_fail

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
        delivery = meanwhile(lambda: deliver("a", seconds=20))
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
        told = deliver("a", seconds=LONGER_THAN_A_TURN_S + 2)
    assert told.failure is not None
    assert told.seconds > LONGER_THAN_A_TURN_S
    assert logins.call_count > 1
    assert "cannot be reached" in str(told.failure)
    assert told.failure.where == f"127.0.0.1:{port}"
    assert told.failure.cause == "the server did not answer in time"


def test_a_silent_address_leaves_time_for_the_one_behind_it(
    admin: psycopg.Connection, fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.2,127.0.0.1")
    handler.reset()
    with full("127.0.0.2", fragile.port):
        told = deliver("a", seconds=3)
    assert told.acknowledged == {"a"}
    assert told.seconds > 1, "the silent one had its turn"


# A host of its own, so that it can be taken away: it passes everything on to the server's socket.
RELAY = """
import socket, sys, threading
def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        one.close()
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[3])
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
NAMESPACE = "hvac-test"
LINK, FAR_LINK = "hvac-near", "hvac-far"
NEAR, FAR = "198.18.0.1", "198.18.0.2"  # RFC 2544, for tests
MAC = "02:00:00:00:00:02"


@dataclass(frozen=True)
class Host:
    """Another host, as the kernel sees it."""

    port: int

    def vanish(self) -> None:
        """Take it away without a word: nothing that is sent to it is answered, not even by an error."""
        ip("-n", NAMESPACE, "address", "delete", f"{FAR}/30", "dev", FAR_LINK)

    def return_(self) -> None:
        """Bring it back, as a new host would come that has the old one's address."""
        ip("-n", NAMESPACE, "address", "add", f"{FAR}/30", "dev", FAR_LINK)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def host(admin: psycopg.Connection, fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host in a network namespace, in front of the server; the function is connected to it."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        skip_or_fail("a network namespace cannot be made", "run as root, with iproute2")
    with ExitStack() as stack:
        ip("netns", "add", NAMESPACE)
        stack.callback(ip, "netns", "delete", NAMESPACE)
        ip("link", "add", LINK, "type", "veth", "peer", "name", FAR_LINK, "address", MAC, "netns", NAMESPACE)
        stack.callback(ip, "link", "delete", LINK)
        ip("address", "add", f"{NEAR}/30", "dev", LINK)
        ip("link", "set", LINK, "up")
        ip("-n", NAMESPACE, "address", "add", f"{FAR}/30", "dev", FAR_LINK)
        ip("-n", NAMESPACE, "link", "set", FAR_LINK, "up")
        # Else the kernel would notice by itself that nobody has the address any more.
        ip("neighbor", "replace", FAR, "lladdr", MAC, "dev", LINK, "nud", "permanent")
        path = fragile.folder / f".s.PGSQL.{fragile.port}"
        relay = stack.enter_context(
            subprocess.Popen(
                ["ip", "netns", "exec", NAMESPACE, sys.executable, "-c", RELAY, FAR, str(fragile.port), str(path)],
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(relay.kill)
        assert relay.stdout is not None
        assert relay.stdout.readline() == b"ready\n"
        monkeypatch.setenv("DB_HOST", FAR)
        handler.reset()
        assert deliver("warm").acknowledged == {"warm"}
        yield Host(fragile.port)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_host_that_is_gone_without_a_word_is_noticed_and_another_at_its_address_is_written_to(
    admin: psycopg.Connection, host: Host, logins: Mock, size: int
) -> None:
    """As after a failover: the connection was idle when it happened, and the batch is sent into the void."""
    host.vanish()
    began = time.monotonic()
    delivery = meanwhile(lambda: deliver(*(f"d{number}" for number in range(size)), seconds=30))
    wait_until(lambda: logins.call_count)
    assert 4 < time.monotonic() - began < 8
    host.return_()
    assert len(delivery.result(20).acknowledged) == size


@pytest.mark.slow
def test_a_host_that_vanishes_while_it_works_is_noticed(
    admin: psycopg.Connection, fragile: PostgresServer, host: Host, logins: Mock
) -> None:
    """It has acknowledged the statement: nothing is under way, and only keepalives can find it out."""
    with locked(fragile):
        delivery = meanwhile(lambda: deliver("a", seconds=30))
        await_lock(admin)
        host.vanish()
        began = time.monotonic()
        wait_until(lambda: logins.call_count)
        assert 4 < time.monotonic() - began < 9
        host.return_()
        wait_until(lambda: len(backends(admin)) > 1)
    assert delivery.result(20).acknowledged == {"a"}


@pytest.mark.slow
def test_a_host_whose_window_is_shut_is_alive(
    admin: psycopg.Connection, fragile: PostgresServer, host: Host, logins: Mock
) -> None:
    """The backend waits for a lock and reads nothing: the batch is stuck on the way, and the host answers probes."""
    devices = [f"device-{number:05}-{'x' * 200}" for number in range(10_000)]
    with locked(fragile, "SHARE"):
        delivery = meanwhile(lambda: deliver(*devices, seconds=60))
        await_lock(admin)
        time.sleep(20)
        assert not delivery.done()
    assert len(delivery.result(60).acknowledged) == len(devices)
    assert not logins.called
