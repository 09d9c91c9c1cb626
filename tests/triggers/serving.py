"""A running `hvac-heartbeat serve`, as a subprocess."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(sys.executable).parent


@dataclass
class Served:
    """A running `hvac-heartbeat serve`."""

    program: subprocess.Popen[str]
    port: int

    def line(self, *, holding: str = "") -> str:
        """Return the next line of the terminal that holds some words."""
        assert self.program.stdout
        patience = Timer(40, self.program.kill)
        patience.start()
        try:
            return next(line for line in self.program.stdout if holding in line)
        finally:
            patience.cancel()

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, Any]:
        """Send one request; return the response and its body, decoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read()
            return response, json.loads(text) if text else None
        finally:
            connection.close()


@contextlib.contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[Served]:
    """Start the command on a free port and end it as Ctrl-C would."""
    program = subprocess.Popen(
        [SCRIPTS / "hvac-heartbeat", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
    )
    assert program.stdout
    try:
        said = [program.stdout.readline(), program.stdout.readline()]
        listening = re.search(r"http://[\d.]+:(\d+)", said[-1])
        assert listening, said
        yield Served(program, int(listening[1]))
    finally:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=20)
    assert program.returncode == 0
