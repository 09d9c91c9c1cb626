"""`hvac-heartbeat simulate`: a made-up fleet by the wall clock, to be looked at, and held against what was stored."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import typer

from hvac_heartbeat.channels import is_loopback
from hvac_heartbeat.cli.arguments import seconds, wrong
from hvac_heartbeat.cli.consent import ask, ask_before_writing
from hvac_heartbeat.cli.database import is_database_named, opened, place
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.run import throwaway
from hvac_heartbeat.cli.serve import PORT
from hvac_heartbeat.cli.simulation import Onlooker, read_database, say, show_end
from hvac_heartbeat.local.fleet import LiveFleet
from hvac_heartbeat.local.fleet.incidents import SECOND
from hvac_heartbeat.local.fleet.readings import Readings
from hvac_heartbeat.local.gateway import HOST
from hvac_heartbeat.local.simulation import Away, HttpAgent, Simulation, handler_agent
from hvac_heartbeat.local.simulation.read_back import read_back
from hvac_heartbeat.local.web.access import VARIABLE as TOKEN
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.local.simulation import Account, Stored
    from hvac_heartbeat.local.simulation.agents import Answer

_DEFAULT_URL = f"http://{HOST}:{PORT}"
_SHORTEST_S, _LONGEST_S = 5, 86_400
_MOST_DEVICES, _MOST_SITES, _MOST_TOGETHER = 100_000, 10_000, 10_000


class Way(NamedTuple):
    """Where the heartbeats go: in words, by which call, whether several at once, and how to read what is stored."""

    words: str
    post: Callable[[dict[str, Any]], Answer]
    side_by_side: bool
    read: Callable[[LiveFleet, Account, float], Stored | None]


def simulate(  # noqa: PLR0913 - a person's options
    *,
    devices: Annotated[int, typer.Option(metavar="COUNT", min=1, max=_MOST_DEVICES, help="How many devices.")] = 300,
    sites: Annotated[int, typer.Option(metavar="COUNT", min=1, max=_MOST_SITES, help="At how many sites.")] = 20,
    seed: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="The same number makes up the same fleet.")] = 7,
    lasts_s: Annotated[
        float, typer.Option("--for", parser=seconds, metavar="LENGTH", help="How long: 10m; a day at most.")
    ] = "10m",  # type: ignore[assignment] # Typer parses a default too
    to: Annotated[str, typer.Option(metavar="URL", help="Where the function, or `serve`, listens.")] = _DEFAULT_URL,
    handler: Annotated[
        bool,
        typer.Option(
            "--handler", help="Call the handler in this process, on the database that DB_* names or a throwaway one."
        ),
    ] = False,
    batch: Annotated[
        int,
        typer.Option(
            metavar="COUNT", min=1, max=_MOST_TOGETHER, help="Post up to so many heartbeats of a site at once."
        ),
    ] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing to another machine.")] = False,
) -> None:
    """Send the heartbeats of a made-up fleet as they are due, and compare what was sent with what is stored.

    Each device sends one a minute. Sites go dark and come back, devices die or cannot upload, and the terminal says
    when. Start `hvac-heartbeat serve` in another terminal first. Ctrl-C ends it early. What is stored it reads from the
    database that DB_* names, or else from `serve`.
    """
    if sites > devices:
        raise wrong(f"there are more sites ({sites}) than devices ({devices})", "--sites")
    if not _SHORTEST_S <= lasts_s <= _LONGEST_S:
        raise wrong("is not between 5s and 1d", "--for")
    if handler and to != _DEFAULT_URL:
        raise wrong("give --to or --handler, not both", "--handler")
    what = f"{devices} made-up devices"
    with ExitStack() as stack:
        way = _by_handler(stack, what, yes=yes) if handler else _by_http(stack, to, what, yes=yes)
        fleet = LiveFleet(seed, devices=devices, sites=sites, length=round(lasts_s * SECOND))
        started = time.time()
        onlooker = stack.enter_context(Onlooker(fleet, started))
        readings = Readings(seed, fleet, started)
        simulation = Simulation(fleet, readings, way.post, onlooker, started=started, batch=batch)
        onlooker.introduce(way.words, simulation.account)
        is_stopped = simulation.run(side_by_side=way.side_by_side)
        onlooker.close()
        account = simulation.account
        is_good = show_end(account, started, lambda: way.read(fleet, account, started), is_stopped=is_stopped)
        if not handler:
            say("Nobody sends any more: in two minutes the whole fleet is stale.")
        if not is_good:
            raise typer.Exit(1)


def _by_handler(stack: ExitStack, what: str, *, yes: bool) -> Way:
    if not is_database_named():
        stack.callback(say, "The throwaway PostgreSQL is removed.")
        stack.enter_context(throwaway())
    settings = Settings.from_environment(os.environ)
    ask_before_writing(settings, yes=yes, what=what)
    with opened(settings):  # says at once what the handler would only give up on
        pass
    return Way(f"the handler and {place(settings)}", handler_agent, side_by_side=False, read=_read_database)


def _by_http(stack: ExitStack, to: str, what: str, *, yes: bool) -> Way:
    url = _url(to)
    if not yes and not is_loopback(url.hostname or ""):
        ask(f"--to names another machine ({url.hostname})", what)
    path = url.path.rstrip("/")
    path = path if path.endswith("/heartbeat") else f"{path}/heartbeat"
    agent = stack.enter_context(HttpAgent(url, os.environ.get(TOKEN)))
    where = url._replace(path=path, query="", fragment="").geturl()
    base = path.removesuffix("/heartbeat")
    try:
        status, body = agent.ask("GET", f"{base}/health")
    except Away as away:
        hint = "start `hvac-heartbeat serve` in another terminal, or name another URL with --to"
        raise CallRefused(f"nobody answers at {where} ({away}): {hint}") from away
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise CallRefused(f"{where} lets nobody in without a token: set {TOKEN} to the one that it was started with")
    if status != HTTPStatus.OK:
        say(f"Its health is not good: {status} {body.get('message', '')}")

    def read_api(fleet: LiveFleet, _: Account, started: float) -> Stored | None:
        return read_back(lambda asked: agent.ask("GET", f"{base}{asked}"), fleet.sites, started)

    return Way(
        where,
        lambda payload: agent.ask("POST", path, payload),
        side_by_side=True,
        read=_read_database if is_database_named() else read_api,
    )


def _read_database(_: LiveFleet, account: Account, started: float) -> Stored:
    return read_database(account, started)


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise wrong(f"{text!r} is no URL: {error}", "--to") from None
    if url.scheme not in {"http", "https"} or not url.hostname or not (text.isascii() and text.isprintable()):
        raise wrong(f"{text!r} is no URL: write {_DEFAULT_URL}", "--to")
    return url
