"""`hvac-heartbeat serve`: all of the product on this machine: the function behind HTTP, the sweep, and the read API."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from threading import local
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hvac_heartbeat.channels import is_loopback
from hvac_heartbeat.cli.arguments import seconds
from hvac_heartbeat.cli.database import is_database_named, opened, place
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.ledger import Ledger
from hvac_heartbeat.cli.output import console, printable
from hvac_heartbeat.cli.run import throwaway
from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.local.gateway import HOST, Gateway
from hvac_heartbeat.local.page import views
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.sweeping import Sweeping
from hvac_heartbeat.local.web import api
from hvac_heartbeat.local.web.access import VARIABLE, Access
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.local.gateway import Exchange
    from hvac_heartbeat.local.read_model.answers import Message

PORT = 8790
SWEEP_EVERY_S = 5.0


def _pause(text: str) -> float:
    length = 0.0 if text.strip() == "0" else seconds(text)
    if 0 < length < 1:
        raise typer.BadParameter(f"{text!r} is less than a second")
    return length


def serve(
    *,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", help=f"The address to listen on; one that others can reach needs {VARIABLE}."),
    ] = HOST,
    port: Annotated[int, typer.Option(metavar="PORT", help="The port; 0 takes a free one.", min=0, max=65535)] = PORT,
    sweep_every: Annotated[
        float | None,
        typer.Option(
            parser=_pause, metavar="LENGTH", help="How often to sweep, 5s if not given; 0 leaves it to others."
        ),
    ] = None,
    logs: Annotated[
        bool, typer.Option("--logs", help="Print what is read too, and the function's log lines on standard error.")
    ] = False,
) -> None:
    """Take heartbeats over HTTP on this machine, judge who is silent, print what is told, and show the fleet.

    POST /heartbeat and GET /health are those of the deployed function; docs/api.md has what else can be read. Without
    DB_HOST it starts a throwaway PostgreSQL and removes it at the end. Ctrl-C ends it.
    """
    token = os.environ.get(VARIABLE) or None
    access = Access(token)
    if token is None and not is_loopback(host):
        raise CallRefused(f"{host} can be reached by others: set {VARIABLE} to a secret that they have to send")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a service manager sends ends it in order too
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        is_throwaway = not is_database_named()
        if is_throwaway:
            stack.enter_context(throwaway())
        settings = Settings.from_environment(os.environ)
        model = ReadModel(settings)
        stack.callback(model.close)
        terminal = Terminal(sys.stdout, Log(sys.stderr if logs else None), model.failure, shows_reads=logs)
        sweeping: Sweeping | None = None
        every_s = SWEEP_EVERY_S if sweep_every is None else sweep_every
        pages = views.routes(model, swept_at=(lambda: sweeping.swept_at if sweeping else None) if every_s else None)
        try:
            gateway = Gateway(host, port, terminal.heard, routes=Routes(api.routes(model) | pages), access=access)
        except OSError as error:
            raise CallRefused(f"cannot listen on {host}, port {port}: {error.strerror}; try another --port") from error
        stack.enter_context(gateway)
        console.print(f"Writing to {place(settings)}", markup=False, soft_wrap=True)
        if is_throwaway:
            console.print(_exports(settings), markup=False, soft_wrap=True)
        console.print(
            f"Listening on {gateway.url}: the fleet page; POST /heartbeat, GET /health", markup=False, soft_wrap=True
        )
        is_away = _look_at_database(settings)
        terminal.stdout.flush()
        # The function writes its log to standard output, where Lambda collects it.
        stack.enter_context(contextlib.redirect_stdout(terminal.log))
        if every_s:
            sweeping = Sweeping(settings, model, every_s, say=terminal.say, tell=terminal.told, is_away=is_away)
            stack.enter_context(sweeping)
        gateway.serve_forever()


class Terminal:
    """Prints what happens, each with its time and in one piece, from whichever thread it is told of."""

    def __init__(self, stdout: TextIO, log: Log, why_unread: Callable[[], str | None], *, shows_reads: bool) -> None:
        self.stdout = stdout
        self.log = log
        self._why_unread = why_unread
        self._shows_reads = shows_reads
        self._reads_fail = False

    def heard(self, request: Exchange) -> None:
        """Print a request; of reads, which a page repeats for ever, those that are refused and the first that fails."""
        is_away = request.status == HTTPStatus.SERVICE_UNAVAILABLE
        if request.is_read:
            is_known = is_away and self._reads_fail
            self._reads_fail = is_away
            if (is_known or request.status < HTTPStatus.BAD_REQUEST) and not self._shows_reads:
                return
        failure = (self._why_unread() if request.is_read else self.log.failure()) if is_away else None
        why = f": {failure}" if failure else ""
        self.say(f"{request.method} {request.path} {request.status} {request.milliseconds:.1f} ms{why}")

    def told(self, message: Message) -> None:
        """Print a message of the sweep."""
        self.say(f"{message.kind}: {message.text}", at=message.created_at)

    def say(self, line: str, *, at: datetime | None = None) -> None:
        """Print a line with its time, which is now if not given."""
        self.stdout.write(f"{at or datetime.now(UTC):%H:%M:%SZ} {printable(line)}\n")
        self.stdout.flush()


class Log(io.TextIOBase):
    """Takes the function's log lines, keeps each thread's last one, and passes them on where somebody wants them."""

    def __init__(self, shown: TextIO | None) -> None:
        self._shown = shown
        self._of_thread = local()

    def write(self, line: str) -> int:
        """Take one line; the function writes each with one call."""
        self._of_thread.last = line
        if self._shown is not None:
            self._shown.write(line)
            self._shown.flush()
        return len(line)

    def failure(self) -> str | None:
        """Return why this thread's last invocation could not write, and what to do about it; None when it could."""
        line = json.loads(getattr(self._of_thread, "last", "{}"))
        if "failure" not in line:
            return None
        return StoreUnavailable(line["failure"], where=line.get("database"), cause=line.get("cause")).in_full


def _exports(settings: Settings) -> str:
    names = {"DB_HOST": settings.host, "DB_PORT": settings.port, "DB_NAME": settings.name, "DB_USER": settings.user}
    exports = " ".join(f"{name}={value}" for name, value in names.items())
    return f"For the other commands, in another terminal: export {exports}"


def _look_at_database(settings: Settings) -> bool:
    """Say what is missing there, and return whether it is away."""
    try:
        with opened(settings) as connection:
            tells = Ledger(connection).row("has_ledger")["has_telling"]
    except HvacHeartbeatError as error:
        console.print(f"Until the database answers, a heartbeat gets 503: {error}", markup=False, soft_wrap=True)
        return True
    if not tells:
        console.print("Nobody is told of silence here: `hvac-heartbeat migrate` makes what it takes", soft_wrap=True)
    return False
