"""`hvac-heartbeat serve`: the function behind an HTTP server on this machine, for people who write agents."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, TextIO

import typer

from hvac_heartbeat.cli.database import opened, place
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.output import console, printable
from hvac_heartbeat.cli.run import throwaway
from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.local.gateway import HOST, Gateway
from hvac_heartbeat.settings import Settings

PORT = 8790


def serve(
    *,
    port: Annotated[
        int, typer.Option(metavar="PORT", help="The port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = PORT,
    logs: Annotated[bool, typer.Option("--logs", help="Print the function's log lines on standard error.")] = False,
) -> None:
    """Take heartbeats over HTTP on this machine, as the deployed function does: POST /heartbeat, GET /health.

    Without DB_HOST it starts a throwaway PostgreSQL and removes it at the end. Ctrl-C ends it.
    """
    with contextlib.ExitStack() as stack:
        is_throwaway = not (os.environ.get("DB_HOST") or os.environ.get("DB_SECRET_ARN"))
        if is_throwaway:
            stack.enter_context(throwaway())
        settings = Settings.from_environment(os.environ)
        stdout, log = sys.stdout, Log(sys.stderr if logs else None)
        try:
            gateway = stack.enter_context(Gateway(port, lambda *heard: _show(stdout, log.failure(), *heard)))
        except OSError as error:
            raise CallRefused(f"cannot listen on {HOST}, port {port}: {error.strerror}; try another --port") from error
        console.print(f"Writing to {place(settings)}", markup=False, soft_wrap=True)
        if is_throwaway:
            console.print(_exports(settings), markup=False, soft_wrap=True)
        console.print(f"Listening on {gateway.url}: POST /heartbeat, GET /health", markup=False, soft_wrap=True)
        _warn_if_away(settings)
        stdout.flush()
        # The function writes its log to standard output, where Lambda collects it.
        with contextlib.redirect_stdout(log), contextlib.suppress(KeyboardInterrupt):
            gateway.serve_forever()


class Log(io.TextIOBase):
    """Takes the function's log lines, keeps the last one, and passes them on where somebody wants them."""

    def __init__(self, shown: TextIO | None) -> None:
        self._shown = shown
        self._last = ""

    def write(self, line: str) -> int:
        """Take one line; the function writes each with one call."""
        self._last = line
        if self._shown is not None:
            self._shown.write(line)
            self._shown.flush()
        return len(line)

    def failure(self) -> str | None:
        """Return why the last invocation could not write, with what to do about it; None when it could."""
        line = json.loads(self._last or "{}")
        if "failure" not in line:
            return None
        return StoreUnavailable(line["failure"], where=line.get("database"), cause=line.get("cause")).in_full


def _exports(settings: Settings) -> str:
    names = {"DB_HOST": settings.host, "DB_PORT": settings.port, "DB_NAME": settings.name, "DB_USER": settings.user}
    exports = " ".join(f"{name}={value}" for name, value in names.items())
    return f"For the other commands, in another terminal: export {exports}"


def _warn_if_away(settings: Settings) -> None:
    try:
        with opened(settings):
            pass
    except HvacHeartbeatError as error:
        console.print(f"Until the database answers, a heartbeat gets 503: {error}", markup=False, soft_wrap=True)


def _show(stdout: TextIO, failure: str | None, method: str, path: str, status: int, milliseconds: float) -> None:
    why = f": {failure}" if failure and status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    asked = printable(f"{method} {path}")
    stdout.write(f"{datetime.now(UTC):%H:%M:%SZ} {asked} {status} {milliseconds:.1f} ms{why}\n")
    stdout.flush()
