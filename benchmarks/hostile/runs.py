"""Sends hostile events to containers within Lambda's limits, and looks at what became of each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import psycopg

from benchmarks import fleet
from benchmarks.hostile.events import Case, event
from benchmarks.hostile.shape import FLEET, known
from hvac_heartbeat.local.postgres import PostgresServer
from tests.small_lambda import SmallLambda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.small_lambda import Invocation

CONTAINERS = 2
# Keys that lead to tables which the function may not read, and columns narrower than the ones that it knows.
KEYED = """
CREATE TABLE devices (device_id varchar(50) PRIMARY KEY);
CREATE TABLE sites (site_id varchar(50) PRIMARY KEY);
INSERT INTO sites VALUES ('north');
DROP VIEW v_devices_stale;
ALTER TABLE device_state ALTER device_id TYPE varchar(50), ALTER site_id TYPE varchar(50),
    ALTER agent_version TYPE varchar(20),
    ADD FOREIGN KEY (device_id) REFERENCES devices, ADD FOREIGN KEY (site_id) REFERENCES sites;
"""


@dataclass(frozen=True)
class Run:
    """How a case ended."""

    case: Case
    tries: int
    seconds: float
    peak_mib: float
    fault: str | None
    lost: bool  # the good record beside it is not in the table
    log: str  # of the last try

    @property
    def harm(self) -> str:
        """What it did, or nothing."""
        return ", ".join(filter(None, (self.fault, "lost" if self.lost else None)))


class Container:
    """One container for each database, and a look into the table."""

    def __init__(self, server: PostgresServer, stack: ExitStack, timeout_s: float, most_tries: int) -> None:
        self._most_tries = most_tries
        self._functions = {}
        self._tables = {}
        for keyed, name in ((True, "keyed"), (False, "plain")):
            function = SmallLambda(server.environment(name, user="hostile"), timeout_s=timeout_s)
            self._functions[keyed] = stack.enter_context(function)
            self._tables[keyed] = stack.enter_context(psycopg.connect(server.url(name), autocommit=True))

    def run(self, case: Case) -> Run:
        """Send a case's event until its source would not send it again."""
        if case.keyed and case.neighbour:
            self._tables[True].execute("INSERT INTO devices VALUES (%s) ON CONFLICT DO NOTHING", [case.neighbour])
        function, text = self._functions[case.keyed], event(case)
        invocations = [function.invoke(text)]
        while _comes_again(case, invocations[-1]) and len(invocations) < self._most_tries:
            invocations.append(function.invoke(text))
        fault = _fault(case, invocations[-1]) or ("stuck" if _comes_again(case, invocations[-1]) else None)
        return Run(
            case,
            len(invocations),
            max(invocation.seconds for invocation in invocations),
            max(invocation.peak_mib for invocation in invocations),
            fault,
            lost=case.neighbour is not None and not self._written(case),
            log=invocations[-1].log,
        )

    def _written(self, case: Case) -> bool:
        found = self._tables[case.keyed].execute("SELECT FROM device_state WHERE device_id = %s", [case.neighbour])
        return found.rowcount == 1


def _fault(case: Case, invocation: Invocation) -> str | None:
    if invocation.missed_deadline:
        return "missed"
    if invocation.killed_for_memory:
        return "killed"
    if invocation.crashed is not None:
        return f"crashed ({invocation.crashed})"
    # A direct event that is no JSON is refused by the runtime; the function never sees it, and so logs nothing.
    unseen = case.carrier == "direct" and not invocation.log
    return None if invocation.error in (None, "StoreUnavailable") or unseen else f"raised {invocation.error}"


def _comes_again(case: Case, invocation: Invocation) -> bool:
    if case.carrier == "sqs" and invocation.answer is not None:
        # The hostile message comes again too, until its queue sets it aside; nothing new is learned from that.
        return {"itemIdentifier": "good"} in invocation.answer["batchItemFailures"]
    return invocation.error == "StoreUnavailable" or invocation.status == 503


def run(todo: Iterator[Case], limits: tuple[float, int], tell: Callable[[Run, float], None]) -> list[Run]:
    """Run cases in containers side by side; `tell` hears of each."""
    lock, runs = Lock(), list[Run]()
    began = time.monotonic()

    def work(container: Container) -> None:
        while True:
            with lock:
                case = next(todo, None)
            if case is None:
                return
            done = container.run(case)
            with lock:
                runs.append(done)
                tell(done, time.monotonic() - began)

    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        _prepare(server)
        containers = [Container(server, stack, *limits) for _ in range(CONTAINERS)]
        pool = stack.enter_context(ThreadPoolExecutor(CONTAINERS))
        for finished in [pool.submit(work, container) for container in containers]:
            finished.result()
    return runs


def _prepare(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE hostile LOGIN")
        admin.execute("CREATE DATABASE plain")
        admin.execute("CREATE DATABASE keyed")
    for name in ("plain", "keyed"):
        with psycopg.connect(server.url(name), autocommit=True) as admin:
            admin.execute(fleet.TABLE_AND_VIEW.encode())
            if name == "keyed":
                admin.execute(KEYED)
                admin.cursor().executemany("INSERT INTO devices VALUES (%s)", [[known(n)] for n in range(FLEET)])
            admin.execute("GRANT SELECT, INSERT, UPDATE ON device_state TO hostile")
