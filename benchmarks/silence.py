"""What the ledger of silence costs those who write: a batch of 1,000 on a table with its trigger and on one without.

What those who read wait for is in availability.py, and told with it.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import availability, fleet
from benchmarks.report import Bars, Result, Target
from benchmarks.timing import milliseconds, percentile
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.local.checkup.tuning import statement_to_tune
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database as Store
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Database, Server

SIZE = 1_000
ROUNDS = 300
MINUTE = timedelta(minutes=1)
SILENCE = 10 * MINUTE


class Scenario(NamedTuple):
    """How many devices of a batch return from a silence, and what the batch may then cost beside one without a ledger.

    With `late` it is not that batch which is measured but one that comes after it and is so much older.
    """

    returning: int
    limit: float | None = None
    late: timedelta | None = None


SCENARIOS = {
    "nobody returns": Scenario(0, 1.10),
    "one in a hundred returns": Scenario(10, 1.15),
    "everybody returns": Scenario(SIZE, 4.5),
    "all are late": Scenario(0, late=MINUTE / 2),
    "all are late, each within a silence": Scenario(SIZE, late=SILENCE / 2),
}
TABLE = fleet.TABLE_AND_VIEW + (statement_to_tune("device_state", []) or "") + ";"
CONTESTANTS = {"without the ledger": TABLE, "with the ledger": TABLE + fleet.LEDGER}
RETURN = """
UPDATE device_state SET last_seen_ts = last_seen_ts - %s WHERE device_id = ANY(%s)
"""


@dataclass
class Contestant:
    """A table in a database of its own, and what its batches took."""

    database: Database
    store: Store
    writer: Writer
    wall_s: list[float] = field(default_factory=list)
    wal: list[int] = field(default_factory=list)

    def turn(self, batch: list[Heartbeat], returning: list[str], late: list[Heartbeat]) -> None:
        """Write the batch after these devices have been silent for ten minutes, or what is late after it."""
        if returning:
            self.database.admin.execute(RETURN, [SILENCE, returning])
        if late:
            self.writer.write(batch, math.inf)
        before = self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        began = time.perf_counter()
        self.writer.write(late or batch, math.inf)
        self.wall_s.append(time.perf_counter() - began)
        self.wal.append(int(self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn") - before))
        self.database.admin.execute("VACUUM device_state")

    def hot(self) -> float:
        """Return the share of updates that stayed on their page."""
        self.store.run("SELECT pg_stat_force_next_flush()", math.inf)
        query = "SELECT n_tup_hot_upd::float8 / n_tup_upd FROM pg_stat_user_tables WHERE relname = 'device_state'"
        return float(self.database.value(query))


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Write batches to both tables, in random order, for each share of devices that return."""
    result = Result("silence")
    rounds = 5 if quick else ROUNDS
    for number, (name, scenario) in enumerate(SCENARIOS.items()):

        def tick(share: float, number: int = number, name: str = name) -> None:
            progress(name, (number + share) / (len(SCENARIOS) + 1))

        rows, circumstances = _scenario(server, scenario, rounds, tick)
        result.circumstances = circumstances | {"batch": SIZE, "rounds": rounds, "synchronous_commit": "off"}
        result.tables[name] = rows
        without, with_ledger = rows
        ratio = with_ledger["median_ms"] / without["median_ms"]
        if scenario.limit is not None:
            result.targets.append(Target(f"{name}: with / without", round(ratio, 3), scenario.limit))
        if number == 0:
            extra = (with_ledger["wal_bytes"] - without["wal_bytes"]) / SIZE
            result.targets.append(Target(f"{name}: WAL bytes a heartbeat more", round(extra, 2), 0.5))
            result.targets.append(Target(f"{name}: share of HOT updates", with_ledger["hot"], 0.99, at_least=True))
        bars = {row["contestant"]: row["median_ms"] for row in rows}
        result.bars.append(Bars(name, "ms, median of a batch of 1,000", bars))
    progress("answers", len(SCENARIOS) / (len(SCENARIOS) + 1))
    rows, targets = availability.measure(server, quick=quick)
    result.tables["answers"] = rows
    result.targets += targets
    return result


def _scenario(
    server: Server, scenario: Scenario, rounds: int, progress: Callable[[float], None]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    chance = random.Random(8)  # noqa: S311 - an order of turns
    ids = [fleet.device(number) for number in range(SIZE)]
    with (
        server.database(synchronous_commit=False, schema=CONTESTANTS["without the ledger"]) as first,
        Opened(first) as without,
        server.database(synchronous_commit=False, schema=CONTESTANTS["with the ledger"]) as second,
        Opened(second) as with_ledger,
    ):
        contestants = [without, with_ledger]
        begin = datetime.now(UTC) - timedelta(days=30)
        for at in range(-3, rounds):
            batch = [Heartbeat(device, "s", begin + at * MINUTE, status="ready", cpu_pct=float(at)) for device in ids]
            back = chance.sample(ids, scenario.returning) if at > -3 else []
            late = (
                [Heartbeat(device, "s", begin + at * MINUTE - scenario.late) for device in ids] if scenario.late else []
            )
            for contestant in chance.sample(contestants, 2):
                contestant.turn(batch, back, late)
            progress((at + 3) / (rounds + 3))
        rows = [_row(name, found, rounds) for name, found in zip(CONTESTANTS, contestants, strict=True)]
        return rows, first.circumstances


class Opened:
    """A contestant as long as its connection is open."""

    def __init__(self, database: Database) -> None:
        database.admin.execute("ALTER TABLE device_state SET (autovacuum_enabled = off)")  # ours comes after each turn
        database.admin.execute("SET session_replication_role = replica")  # what we write to prepare a turn is no fact
        store = Store(Settings.from_environment(os.environ))
        self._contestant = Contestant(database, store, Writer(DeviceState(store)))

    def __enter__(self) -> Contestant:
        return self._contestant

    def __exit__(self, *_: object) -> None:
        self._contestant.store.close()


def _row(name: str, found: Contestant, rounds: int) -> dict[str, Any]:
    times = found.wall_s[-rounds:]
    return {
        "contestant": name,
        "median_ms": milliseconds(statistics.median(times)),
        "p99_ms": milliseconds(percentile(times, 99)),
        "wal_bytes": int(statistics.median(found.wal[-rounds:])),
        "hot": round(found.hot(), 4),
    }
