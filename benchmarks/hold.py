"""Five million devices, one heartbeat a minute each, for ten minutes, with the vacuums and checkpoints that come.

Before that the handler and its floor write for a while as fast as they can, in random order: what there is in reserve.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.container import STRIDE
from benchmarks.peers.limits import ServerSideFloor
from benchmarks.report import Bars, Result, Target
from benchmarks.scale import containers, hear, tell
from benchmarks.server import cpu_ns
from benchmarks.timing import milliseconds, percentile
from benchmarks.write_budget import TUNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Database, Server

DEVICES = 5_000_000
BATCH = 1_000
CONTAINERS = 8
MINUTES = 10.0
SPRINTS, SPRINT_S = 2, 20.0
STAGED = 20  # batches of each connection of the floor
# What docs/performance.md advises for a large fleet. checkpoint_timeout stays at five minutes, so that some come.
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "16GB", "max_connections": "200"}
LOOK = """
SELECT n_tup_upd, n_tup_hot_upd, autovacuum_count, pg_total_relation_size(relid) AS bytes,
       (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8 AS wal,
       (SELECT checkpoint_lsn::text FROM pg_control_checkpoint())
  FROM pg_stat_user_tables
 WHERE relname = 'device_state'
"""
LOOK_EVERY_S = 5.0


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool, minutes: float = MINUTES) -> Result:
    """Fill the table, let both write as fast as they can, and then hold the pace."""
    result = Result("hold")
    devices, batch, count = (2_000, 100, 2) if quick else (DEVICES, BATCH, CONTAINERS)
    seconds, sprints, sprint_s = (1.0, 1, 0.3) if quick else (minutes * 60, SPRINTS, SPRINT_S)
    with server.database() as database:
        result.circumstances = database.circumstances | {"devices": devices, "batch": batch, "containers": count}
        database.admin.execute(TUNED.encode())  # before the rows, so that no page has to be rewritten
        progress("filling the table", 0.0)
        fleet.populate(database.admin, devices)
        runners = {"handler": _sprint_of_handler, "floor": _sprint_of_floor}
        reached: dict[str, list[float]] = {name: [] for name in runners}
        for name in random.Random(1).sample([*runners] * sprints, sprints * len(runners)):  # noqa: S311 - an order
            progress(f"{name}, as fast as it can", 0.1)
            database.admin.execute("VACUUM device_state")
            database.admin.execute("CHECKPOINT")
            reached[name].append(runners[name](database, devices, batch, count, sprint_s))
        database.admin.execute("VACUUM device_state")
        rows, summary = _hold(database, devices, batch, count, seconds, progress)
    fastest = {name: float(round(statistics.fmean(found))) for name, found in reached.items()}
    result.tables = {
        "as fast as they can, heartbeats a second": [fastest],
        f"{devices:,} devices a minute": rows,
        "altogether": [summary],
    }
    asked = devices / 60
    slowest = min(row["per_s"] for row in rows)
    what = f"{devices:,} devices a minute, batches of {batch:,}, {seconds / 60:g} min: share of the pace"
    result.targets = [
        Target(f"{what} held", round(summary["per_s"] / asked, 4), 0.995, at_least=True),
        Target(f"{what} in the slowest minute", round(slowest / asked, 4), 0.95, at_least=True),
    ]
    result.bars = [
        Bars("heartbeats", "a second", {f"minute {row['minute']}": float(row["per_s"]) for row in rows}, limit=asked),
        Bars("as fast as they can", "heartbeats a second", fastest),
    ]
    return result


def _hold(
    database: Database, devices: int, batch: int, count: int, seconds: float, progress: Callable[[str, float], None]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Let the containers write at the fleet's pace; return a row for each minute, and one for all of them."""
    visible = database.server.postmaster is not None
    with containers(devices, batch, count, seconds, devices / 60 / count) as running:
        backends = database.backends()
        before = cpu_ns(backends) if visible else 0
        began = time.perf_counter()
        looks = [_look(database, began)]
        for container in running:
            tell(container, "go")
        while (elapsed := time.perf_counter() - began) < seconds - 0.1:
            progress("at the fleet's pace", elapsed / seconds)
            time.sleep(min(LOOK_EVERY_S, seconds - elapsed))
            looks.append(_look(database, began))
        reports = [json.loads(hear(container)) for container in running]
        wall = time.perf_counter() - began
        server_s = (cpu_ns(backends) - before) / 1e9 if visible else None
    rows = [
        _row(minute, seconds, [report["minutes"] for report in reports], looks)
        for minute in range(-(-int(seconds) // 60))
    ]
    calls = [call for report in reports for call in report["calls_s"]]
    written = sum(report["heartbeats"] for report in reports)
    summary = {
        "per_s": round(written / wall),
        "median_ms": milliseconds(percentile(calls, 50)),
        "p99_ms": milliseconds(percentile(calls, 99)),
        "slowest_ms": milliseconds(max(calls)),
        "client_cpu_us": round(sum(report["cpu_s"] for report in reports) / written * 1e6, 2),
        "server_cpu_us": None if server_s is None else round(server_s / written * 1e6, 2),
        **_between(looks[0], looks[-1], looks),
    }
    return rows, summary


def _row(minute: int, seconds: float, counts: list[list[int]], looks: list[dict[str, Any]]) -> dict[str, Any]:
    lasted = min(60.0, seconds - 60 * minute)
    begin, end = 60 * minute - LOOK_EVERY_S / 2, 60 * (minute + 1) + LOOK_EVERY_S / 2
    seen = [look for look in looks if begin <= look["at"] <= end] or looks[-1:]
    written = sum(one[minute] for one in counts if minute < len(one))
    return {"minute": minute + 1, "per_s": round(written / lasted), **_between(seen[0], seen[-1], seen)}


def _between(first: dict[str, Any], last: dict[str, Any], looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what happened from one look at the table to another."""
    updated = last["n_tup_upd"] - first["n_tup_upd"]
    return {
        "hot": round((last["n_tup_hot_upd"] - first["n_tup_hot_upd"]) / max(updated, 1), 4),
        "wal_mb": round((last["wal"] - first["wal"]) / 2**20),
        "checkpoints": len({look["checkpoint_lsn"] for look in looks}) - 1,
        "vacuums": last["autovacuum_count"] - first["autovacuum_count"],
        "table_mb": round(last["bytes"] / 2**20),
        "growth_mb": round((last["bytes"] - first["bytes"]) / 2**20, 1),
    }


def _look(database: Database, began: float) -> dict[str, Any]:
    cursor = database.admin.execute(LOOK.encode())
    row = cursor.fetchone()
    if row is None or cursor.description is None:
        raise LookupError(LOOK)
    found = {column.name: value for column, value in zip(cursor.description, row, strict=True)}
    return found | {"at": time.perf_counter() - began}


def _sprint_of_handler(database: Database, devices: int, batch: int, count: int, seconds: float) -> float:  # noqa: ARG001 - it is led there by DB_*
    with containers(devices, batch, count, seconds, 0) as running:
        began = time.perf_counter()
        for container in running:
            tell(container, "go")
        written = sum(json.loads(hear(container))["heartbeats"] for container in running)
        return float(written / (time.perf_counter() - began))


def _sprint_of_floor(database: Database, devices: int, batch: int, count: int, seconds: float) -> float:
    """Let as many connections write staged batches, each from devices of its own."""
    floors = [
        [ServerSideFloor(database.conninfo, _event(devices, batch, count, index, turn)) for turn in range(STAGED)]
        for index in range(count)
    ]
    began = time.perf_counter()

    def write(own: list[ServerSideFloor]) -> int:
        written = 0
        while time.perf_counter() - began < seconds:
            own[written % len(own)].write({})
            written += 1
        return written

    try:
        with ThreadPoolExecutor(count) as pool:
            batches = sum(pool.map(write, floors))
        return batches * batch / (time.perf_counter() - began)
    finally:
        for floor in chain.from_iterable(floors):
            floor.close()


def _event(devices: int, batch: int, count: int, index: int, turn: int) -> fleet.Body:
    share = range(index, devices, count)
    return fleet.event(fleet.heartbeats([share[(turn * batch + at) * STRIDE % len(share)] for at in range(batch)]))
