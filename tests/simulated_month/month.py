"""One seed's month, from its fleet to its verdict; and where such months can be played."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from tests.simulated_month.comparison import Counts, count, differences
from tests.simulated_month.play import Play
from tests.simulated_month.stage import Stage, build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Month:
    """What came of a seed."""

    seed: int
    counts: Counts
    differences: list[str]
    seconds: float


class Theatre:
    """A database with two sessions."""

    def __init__(self, conninfo: str) -> None:
        self._sessions = Stage(conninfo), Stage(conninfo)

    def play(self, seed: int) -> Month:
        """Play a month, up to the first sweep that answers otherwise than the oracle."""
        started = time.monotonic()
        play = Play(seed, *self._sessions)
        play.run()
        stage = self._sessions[0]
        found = play.differences + differences(stage, play.oracle)
        counts = count(stage, play)
        return Month(seed, counts, found, time.monotonic() - started)

    def close(self) -> None:
        """End the sessions."""
        for session in self._sessions:
            session.close()


@contextmanager
def theatre(conninfo: str, changes: Mapping[str, str] | None = None) -> Iterator[Theatre]:
    """Build the product's schema, with `changes` of its SQL, in an empty database, and play there."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        build(connection, changes)
    theatre = Theatre(conninfo)
    try:
        yield theatre
    finally:
        theatre.close()


_own: list[Theatre] = []  # of a worker process
_kept = ExitStack()


def prepare_worker(url: str) -> None:
    """Give this process a database of its own, for as long as it lives."""
    name = f"month_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    _own.append(_kept.enter_context(theatre(url.replace("/postgres?", f"/{name}?"))))


def play_in_worker(seed: int) -> Month:
    """Play a month in this process's database."""
    return _own[0].play(seed)
