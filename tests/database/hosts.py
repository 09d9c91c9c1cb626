"""Another host in front of a server, in a network namespace, so that it can be taken away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.skips import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.local.postgres import PostgresServer

# What the host does: it passes everything on to the server's socket.
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
# By process, because several runs may share a machine.
_NAMESPACE, _LINK, _FAR_LINK = (f"hvac-{name}-{os.getpid()}"[:15] for name in "hnf")
_NET = f"198.18.{os.getpid() % 256}"  # RFC 2544, for tests
_NEAR, FAR = f"{_NET}.1", f"{_NET}.2"
_MAC = "02:00:00:00:00:02"


def vanish() -> None:
    """Take the host away without a word: nothing that is sent to it is answered, not even by an error."""
    _ip("-n", _NAMESPACE, "address", "delete", f"{FAR}/30", "dev", _FAR_LINK)


def come_back() -> None:
    """Bring it back, as a new host would come that has the old one's address."""
    _ip("-n", _NAMESPACE, "address", "add", f"{FAR}/30", "dev", _FAR_LINK)


@contextmanager
def host_before(server: PostgresServer) -> Iterator[None]:
    """Put a host with the address FAR before a server, on the server's port."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        skip_or_fail("a network namespace cannot be made", "run as root, with iproute2")
    with ExitStack() as stack:
        _ip("netns", "add", _NAMESPACE)
        stack.callback(_ip, "netns", "delete", _NAMESPACE)
        _ip("link", "add", _LINK, "type", "veth", "peer", "name", _FAR_LINK, "address", _MAC, "netns", _NAMESPACE)
        stack.callback(_ip, "link", "delete", _LINK)
        _ip("address", "add", f"{_NEAR}/30", "dev", _LINK)
        _ip("link", "set", _LINK, "up")
        come_back()
        _ip("-n", _NAMESPACE, "link", "set", _FAR_LINK, "up")
        # Else the kernel would notice by itself that nobody has the address any more.
        _ip("neighbor", "replace", FAR, "lladdr", _MAC, "dev", _LINK, "nud", "permanent")
        path = server.folder / f".s.PGSQL.{server.port}"
        inside = ["ip", "netns", "exec", _NAMESPACE]
        relay = stack.enter_context(
            subprocess.Popen(
                [*inside, sys.executable, "-c", RELAY, FAR, str(server.port), str(path)], stdout=subprocess.PIPE
            )
        )
        stack.callback(relay.kill)
        assert relay.stdout is not None
        assert relay.stdout.readline() == b"ready\n"
        yield


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
