"""What is billed: an invocation's milliseconds at 128 MB, which go with 7.2 % of a core.

The function runs within Lambda's limits (`tests/small_lambda`, as root on Linux) with the server outside of them. The
milliseconds hold what Lambda's runtime does too: it decodes the event and encodes the answer.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks import costs, fleet
from benchmarks.ingest import FILLFACTOR, FLEET
from benchmarks.report import Bars, Result, Target
from benchmarks.server import cpu_ns
from benchmarks.timing import milliseconds
from tests.small_lambda import CORE_SHARE, MEMORY_MIB, SmallLambda
from tests.small_lambda.cgroup import NoCgroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Server

IN_A_ROW = {1: 100, 100: 40, 1_000: 10, 10_000: 3}  # by heartbeats an invocation
TURNS = 20
REST_S = 0.2  # two periods of the cgroup, so that the next invocation finds its share of a period unused
OWN_BILL = "a million single heartbeats: the function and its log, dollars"


class Sized:
    """A function that gets events of one size."""

    def __init__(self, size: int, function: SmallLambda) -> None:
        self.size = size
        self._function = function
        self._event = fleet.event(fleet.heartbeats(fleet.sample(size, FLEET)))
        self.rested_s: list[float] = []
        self.busy_s: list[float] = []
        self.cpu_s: list[float] = []
        self.invoke()
        self.invoke()

    def invoke(self) -> float:
        """Send the event; return how long the answer took."""
        invocation = self._function.invoke(self._event)
        if invocation.status != 200:
            raise RuntimeError(invocation)
        return invocation.seconds

    def turn(self, count: int) -> None:
        """Let the function rest, and then invoke it so many times in a row."""
        process = {process_id} if (process_id := self._function.process_id) else set()
        time.sleep(REST_S)
        before = cpu_ns(process)
        seconds = [self.invoke() for _ in range(count)]
        self.cpu_s.append((cpu_ns(process) - before) / 1e9 / count)
        self.rested_s.append(seconds[0])
        self.busy_s.append(statistics.fmean(seconds))

    def row(self) -> dict[str, Any]:
        """Return the medians in milliseconds, and what a million heartbeats cost with them."""
        busy_ms = milliseconds(statistics.median(self.busy_s))
        return {
            "heartbeats": self.size,
            "turns": len(self.busy_s),
            "client_cpu_ms": milliseconds(statistics.median(self.cpu_s)),
            "rested_ms": milliseconds(statistics.median(self.rested_s)),
            "busy_ms": busy_ms,
            "dollars_a_million": _dollars(self.size, busy_ms),
        }


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Invoke a function for each size in turns, in random order."""
    result = Result("billed")
    chance = random.Random(1)  # noqa: S311 - an order of turns
    with server.database(synchronous_commit=False) as database, ExitStack() as stack:
        result.circumstances = database.circumstances | {
            "within": f"{CORE_SHARE} of a core, {MEMORY_MIB} MiB",
            "prices": costs.PRICED,
        }
        database.tune(FILLFACTOR)
        fleet.populate(database.admin, FLEET)
        try:
            functions = [
                Sized(size, stack.enter_context(SmallLambda(database.environment)))
                for size in ((1, 100) if quick else IN_A_ROW)
            ]
        except NoCgroup as reason:
            functions = []
            result.circumstances["not within limits"] = str(reason)
        turns = 2 if quick else TURNS
        for turn in range(turns):
            for function in chance.sample(functions, len(functions)):
                function.turn(IN_A_ROW[function.size])
            database.admin.execute("VACUUM device_state")
            progress("invocations at 128 MB", (turn + 1) / turns)
    rows = [function.row() for function in functions]
    result.tables["an invocation at 128 MB"] = rows or [{"not measured": result.circumstances["not within limits"]}]
    for row in rows:
        size = row["heartbeats"]
        what = f"an invocation of {size:,} at 128 MB, ms; docs/costs.md assumes its limit"
        result.targets.append(Target(what, row["busy_ms"], costs.milliseconds(size)))
        if size == 1:
            result.targets.append(Target(OWN_BILL, row["dollars_a_million"], 0.30))
    values = {f"{row['heartbeats']:,} heartbeats": row["busy_ms"] for row in rows}
    result.bars = [Bars("an invocation at 128 MB", "ms", values, log=True)] if rows else []
    return result


def _dollars(heartbeats: int, busy_ms: float) -> float:
    """Return what the function and its log cost for a million heartbeats; every millisecond begun is billed."""
    million = (
        costs.PRICES["Lambda, a million requests"]
        + math.ceil(busy_ms) * 1_000 * costs.MEMORY_GB * costs.PRICES["Lambda on arm64, a GB-second"]
        + costs.MILLION * costs.LOG_GB * costs.PRICES["CloudWatch Logs of Lambda, a GB taken in (first 10 TB)"]
    )
    return round(million / heartbeats, 4)
