"""10,000 to 1,000,000 devices, one heartbeat a minute each, through 1 to 16 concurrent containers."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.report import Bars, Result, Target
from benchmarks.server import cpu_ns
from benchmarks.timing import milliseconds, percentile
from benchmarks.write_budget import TUNED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.server import Database, Server

FLEETS = (10_000, 100_000, 1_000_000)
BATCHES = (100, 1_000)
CONTAINERS = (1, 4, 16)
SECONDS = 4.0
SUSTAINED_SECONDS = 65.0
ROOT = Path(__file__).parents[1]


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Let every fleet report as fast as it can, then the largest at its own pace for more than a minute."""
    result = Result("scale")
    fleets, batches, counts = ((2_000,), (100,), (1, 2)) if quick else (FLEETS, BATCHES, CONTAINERS)
    seconds = 1.0 if quick else SECONDS
    rows: list[dict[str, Any]] = []
    stale: list[dict[str, Any]] = []
    chance = random.Random(1)  # noqa: S311 - an order of turns
    for devices in fleets:
        with server.database() as database:
            result.circumstances |= database.circumstances
            fleet.populate(database.admin, devices)
            database.tune(TUNED)
            stale.append(_stale(database, devices))
            bursts = list(product(batches, counts))
            found: dict[tuple[int, int], dict[str, Any]] = {}
            for batch, count in chance.sample(bursts, len(bursts)):
                progress(f"{devices:,} devices, {count} containers of {batch}", (len(rows) + len(found)) / 20)
                found[batch, count] = _burst(database, devices, batch, count, seconds)
            rows += [found[burst] for burst in bursts]
            if devices == fleets[-1]:
                progress("the largest fleet at its own pace", 0.9)
                sustained = 2.0 if quick else SUSTAINED_SECONDS
                rows.append(_burst(database, devices, batches[-1], 4, sustained, pace=devices / 60))
            # By now every page has been written since the checkpoint.
            rows.append(_burst(database, devices, batches[-1], 1, seconds, fresh=False))
    result.tables = {"heartbeats": rows, "the stale query, one device in ten silent": stale}
    _judge(result, rows, fleets)
    return result


def _burst(
    database: Database,
    devices: int,
    batch: int,
    count: int,
    seconds: float,
    *,
    pace: float = 0.0,
    fresh: bool = True,
) -> dict[str, Any]:
    """Let the containers write for so long, at `pace` heartbeats a second altogether or as fast as they can.

    `fresh` begins with a checkpoint, after which the first heartbeat on every page writes an image of the page.
    """
    if fresh:
        database.admin.execute("VACUUM (ANALYZE) device_state")
        database.admin.execute("CHECKPOINT")
    size = database.value("SELECT pg_total_relation_size('device_state')")
    visible = database.server.postmaster is not None
    with containers(devices, batch, count, seconds, pace / count) as running:
        backends = database.backends()
        before = cpu_ns(backends) if visible else 0
        began = time.perf_counter()
        for container in running:
            tell(container, "go")
        reports = [json.loads(hear(container)) for container in running]
        wall = time.perf_counter() - began
        # Before they close their connections, and the server processes end.
        server_s = (cpu_ns(backends) - before) / 1e9 if visible else None
    written = sum(report["heartbeats"] for report in reports)
    calls = [call for report in reports for call in report["calls_s"]]
    database.admin.execute("VACUUM device_state")
    return {
        "devices": devices,
        "batch": batch,
        "containers": count,
        "from": "a checkpoint" if fresh else "between",
        "asked_per_s": round(pace) or None,
        "per_s": round(written / wall),
        "median_ms": milliseconds(percentile(calls, 50)),
        "p99_ms": milliseconds(percentile(calls, 99)),
        "server_cpu_us": round(server_s / written * 1e6, 2) if server_s is not None else None,
        "client_cpu_us": round(sum(report["cpu_s"] for report in reports) / written * 1e6, 2),
        "growth_mb": round((database.value("SELECT pg_total_relation_size('device_state')") - size) / 2**20, 1),
    }


@contextlib.contextmanager
def containers(
    devices: int, batch: int, count: int, seconds: float, pace: float
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start so many processes, each with a warm connection and its share of the fleet, waiting for the word."""
    arguments = [str(value) for value in (devices, batch, count, seconds, pace)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.container", str(index), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(count)
    ]
    try:
        for container in running:
            hear(container)
        yield running
    finally:
        for container in running:
            container.communicate(timeout=60)


def tell(container: subprocess.Popen[str], word: str) -> None:
    if container.stdin is not None:
        container.stdin.write(word + "\n")
        container.stdin.flush()


def hear(container: subprocess.Popen[str]) -> str:
    line = container.stdout.readline() if container.stdout is not None else ""
    if not line:
        raise RuntimeError("a container ended before it said anything")
    return line


def _stale(database: Database, devices: int) -> dict[str, Any]:
    """Time the view while one device in ten is silent."""
    database.admin.execute(
        "UPDATE device_state SET last_seen_ts = now() - interval '1 hour' WHERE hashtext(device_id) % 10 = 0"
    )
    database.admin.execute("VACUUM (ANALYZE) device_state")
    took: dict[str, float] = {}
    for name, query in {
        "all_ms": "SELECT * FROM v_devices_stale",
        "by_site_ms": "SELECT site_id, count(*) FROM v_devices_stale GROUP BY site_id",
        "count_ms": "SELECT count(*) FROM v_devices_stale",
    }.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            database.admin.execute(query.encode()).fetchall()
            times.append(time.perf_counter() - began)
        took[name] = milliseconds(percentile(times, 50))
    return {"devices": devices, "stale": database.value("SELECT count(*) FROM v_devices_stale")} | took


def _judge(result: Result, rows: list[dict[str, Any]], fleets: tuple[int, ...]) -> None:
    paced = next(row for row in rows if row["asked_per_s"])
    held = round(paced["per_s"] / (paced["devices"] / 60), 4)
    what = f"{paced['devices']:,} devices a minute, batches of {paced['batch']:,}: share of the pace held"
    result.targets.append(Target(what, held, 0.995, at_least=True))
    for when, title in (("between", "between checkpoints"), ("a checkpoint", "just after a checkpoint")):
        cost = {
            row["devices"]: row["server_cpu_us"] + row["client_cpu_us"]
            for row in rows
            if row["batch"] == paced["batch"] and row["containers"] == 1 and row["from"] == when
            if row["server_cpu_us"] is not None
        }
        if len(cost) > 1:
            grown = round(cost[fleets[-1]] / cost[fleets[0]], 3)
            what = f"CPU a heartbeat at {fleets[-1]:,} devices / at {fleets[0]:,}, {title}"
            result.targets.append(Target(what, grown, 1.5))
    for batch in sorted({row["batch"] for row in rows}):
        values = {
            f"{row['devices']:,} devices, {row['containers']} containers": float(row["per_s"])
            for row in rows
            if row["batch"] == batch and row["asked_per_s"] is None and row["from"] != "between"
        }
        limit = fleets[-1] / 60 if batch == paced["batch"] else None
        result.bars.append(Bars(f"batches of {batch:,}", "heartbeats a second", values, limit=limit))
