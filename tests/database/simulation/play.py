"""Runs of minutes that end just now, in no time: the clock is the test's, all else is real."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.cli.simulation import Onlooker, read_database, show_end
from hvac_heartbeat.local.fleet import LiveFleet
from hvac_heartbeat.local.fleet.readings import Readings
from hvac_heartbeat.local.gateway import Gateway
from hvac_heartbeat.local.simulation import Simulation, handler_agent
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SEED = 7


class PastClock:
    """A clock that is ahead of nobody: a run of minutes that ends just now, in no time."""

    def __init__(self, lasts_s: float, *, interrupted: bool = False) -> None:
        self.started = self._now = time.time() - lasts_s
        self._ends = self.started + lasts_s if interrupted else float("inf")
        self.at: dict[float, Callable[[], None]] = {}

    def time(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
        if self._now >= self._ends:
            raise KeyboardInterrupt
        for at in [at for at in self.at if self._now >= self.started + at]:
            self.at.pop(at)()


def played(
    clock: PastClock, fleet: LiveFleet, post: Callable[[Any], Any] | None = None, batch: int = 1
) -> tuple[Simulation, bool]:
    """Play a run; without `post`, by the handler, which is told when each heartbeat arrived."""

    def arrived(event: dict[str, Any]) -> Any:
        return handler_agent(event | {"received_at": clock.time()})

    with Onlooker(fleet, clock.started, clock) as onlooker:
        readings = Readings(SEED, fleet, clock.started)
        simulation = Simulation(
            fleet, readings, post or arrived, onlooker, started=clock.started, batch=batch, clock=clock
        )
        onlooker.introduce("somewhere", simulation.account)
        return simulation, simulation.run(side_by_side=False)


def is_as_sent(simulation: Simulation, clock: PastClock) -> bool:
    account = simulation.account
    return show_end(account, clock.started, lambda: read_database(account, clock.started), is_stopped=False)


@contextmanager
def listening(port: int, routes: Routes | None = None) -> Iterator[Gateway]:
    with Gateway("127.0.0.1", port, lambda _: None, routes=routes or Routes({}), access=Access()) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()
