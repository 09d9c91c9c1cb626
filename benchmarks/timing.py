"""Times contestants side by side: in turns, so that whatever else the machine does hits all of them alike.

The order of the turns is random, because a contestant finds the caches as the one before it has left them.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.server import cpu_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.peers import Peer
    from benchmarks.server import Database


@dataclass
class Lap:
    """What one contestant has used so far."""

    peer: Peer
    backends: set[int] = field(default_factory=set)
    wall_s: list[float] = field(default_factory=list)
    client_s: list[float] = field(default_factory=list)
    server_s: list[float] = field(default_factory=list)

    @property
    def spent_s(self) -> float:
        """Seconds on the clock."""
        return sum(self.wall_s)

    def row(self, size: int) -> dict[str, Any]:
        """Return the medians in milliseconds; the server's only where the peer keeps its process."""
        both = [client + server for client, server in zip(self.client_s, self.server_s, strict=False)]
        return {
            "size": size,
            "contestant": self.peer.name,
            "rounds": len(self.wall_s),
            "median_ms": milliseconds(statistics.median(self.wall_s)),
            "p99_ms": milliseconds(percentile(self.wall_s, 99)),
            "client_cpu_ms": milliseconds(statistics.median(self.client_s)),
            "server_cpu_ms": milliseconds(statistics.median(self.server_s)) if self.server_s else None,
            "cpu_ms": milliseconds(statistics.median(both)) if both else None,
        }


def race(
    database: Database,
    peers: Mapping[str, Callable[[], Peer]],
    event: dict[str, Any],
    *,
    seconds: float,
    progress: Callable[[float], None],
    at_least: int = 5,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Lap]:
    """Let every peer write the event in turns for `seconds` altogether, none for more than its share of them.

    `between` runs after every round and is not measured.
    """
    laps: dict[str, Lap] = {}
    try:
        for name, peer in peers.items():
            laps[name] = _warm(database, peer, event)
        _run(database, laps, event, seconds, at_least, between, progress)
    finally:
        for lap in laps.values():
            lap.peer.close()
    return laps


def _run(
    database: Database,
    laps: dict[str, Lap],
    event: dict[str, Any],
    seconds: float,
    at_least: int,
    between: Callable[[], None],
    progress: Callable[[float], None],
) -> None:
    share = seconds / len(laps)
    began = time.perf_counter()
    chance = random.Random(1)  # noqa: S311 - an order of turns
    rounds = 0
    while True:
        if rounds == at_least:
            began = time.perf_counter()  # what the slowest took for theirs is not taken from the others
        running = [n for n in laps if laps[n].spent_s < share or len(laps[n].wall_s) < at_least]
        if not running or (rounds >= at_least and time.perf_counter() - began > 2 * seconds):
            return
        for name in chance.sample(running, len(running)):
            _turn(database, laps[name], event)
        rounds += 1
        between()
        progress(min(sum(lap.spent_s for lap in laps.values()) / seconds, 1))


def _warm(database: Database, begin: Callable[[], Peer], event: dict[str, Any]) -> Lap:
    before = database.backends()
    peer = begin()
    peer.write(event)
    peer.write(event)
    return Lap(peer, set() if peer.reconnects else database.backends() - before)


def _turn(database: Database, lap: Lap, event: dict[str, Any]) -> None:
    known = database.server.postmaster is not None and bool(lap.backends)
    server = cpu_ns(lap.backends) if known else 0
    client = time.process_time()
    began = time.perf_counter()
    lap.peer.write(event)
    lap.wall_s.append(time.perf_counter() - began)
    lap.client_s.append(time.process_time() - client)
    if known:
        lap.server_s.append((cpu_ns(lap.backends) - server) / 1e9)


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def milliseconds(seconds: float) -> float:
    """Return milliseconds with as many digits as mean anything."""
    return round(seconds * 1000, 3)
