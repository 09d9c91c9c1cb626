"""What a new container costs before its first heartbeat is written: imports, init, first invocation, memory."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import emulator, fleet
from benchmarks.report import Bars, Result, Target
from benchmarks.scale import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Server

ROUNDS = 25
EMULATED = 7
BATCHES = 50

# Lambda's runtime client is there before the function's own import begins.
PROBE = """
import json, os, time
import awslambdaric.bootstrap
def resident():
    with open("/proc/self/status") as status:
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if line.startswith("Vm")}
before, cpu, wall = resident(), time.process_time(), time.perf_counter()
%s
print(json.dumps({"cpu_ms": (time.process_time() - cpu) * 1e3, "wall_ms": (time.perf_counter() - wall) * 1e3,
                  "added_mb": resident()["VmRSS"] - before["VmRSS"], "peak_mb": resident()["VmHWM"]}))
"""
OURS, ALONE, CONVENTIONAL = "lambda_function", "psycopg and msgspec alone", "Powertools, pydantic, boto3, psycopg"
IMPORTS = {
    OURS: "import lambda_function",
    ALONE: "import psycopg, msgspec",
    CONVENTIONAL: """
import boto3, psycopg
from aws_lambda_powertools import Logger, Metrics
from pydantic import BaseModel
class Heartbeat(BaseModel):
    device_id: str
    site_id: str
    status: str | None = None
    cpu_pct: float | None = None
""",
}
AFTER_BATCHES = """
import contextlib, io, sys, lambda_function
event = json.load(sys.stdin)
with contextlib.redirect_stdout(io.StringIO()):
    for _ in range(%d):
        assert lambda_function.lambda_handler(event, None)["statusCode"] == 200
"""


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Start fresh processes in random order, then a few more under the Runtime Interface Emulator."""
    result = Result("cold_start")
    rounds = 2 if quick else ROUNDS
    imports = dict(IMPORTS)
    missing = "" if _imports(imports[CONVENTIONAL]) else "not installed here; `make bench` installs it"
    if missing:
        del imports[CONVENTIONAL]
    seen: dict[str, list[dict[str, float]]] = {name: [_probe(code)] for name, code in imports.items()}  # writes .pyc
    chance = random.Random(1)  # noqa: S311 - an order of turns
    for turn in range(rounds):
        for name in chance.sample(list(imports), len(imports)):
            seen[name].append(_probe(imports[name]))
        progress("imports", 0.6 * (turn + 1) / rounds)
    rows: list[dict[str, Any]] = [
        {"imported": name, "rounds": rounds}
        | {key: round(statistics.median(one[key] for one in found[1:]), 2) for key in found[0]}
        for name, found in seen.items()
    ]
    with server.database() as database:
        result.circumstances = database.circumstances
        fleet.populate(database.admin, 1_000)
        event = fleet.event(fleet.heartbeats(range(1_000)))
        memory = _probe(AFTER_BATCHES % (2 if quick else BATCHES), json.dumps(event))
        progress("the emulator", 0.7)
        runs = [] if quick else [found for _ in range(EMULATED) if (found := emulator.cold_start(event)) is not None]
    result.tables["imports, in a process that has loaded awslambdaric"] = rows
    result.tables["emulated"] = [
        {key: round(statistics.median(one[key] for one in runs), 1) for key in runs[0]}
        if runs
        else {"emulator": "not run"}
    ]
    _judge(result, rows, memory["peak_mb"], missing)
    return result


def _judge(result: Result, rows: list[dict[str, Any]], peak_mb: float, missing: str) -> None:
    cpu = {row["imported"]: row["cpu_ms"] for row in rows}
    third = round(cpu[OURS] / cpu[CONVENTIONAL], 3) if CONVENTIONAL in cpu else None
    result.targets = [
        Target("import CPU: lambda_function / psycopg and msgspec alone", round(cpu[OURS] / cpu[ALONE], 3), 1.25),
        Target("import CPU: lambda_function / conventional stack", third, 0.333, note=missing),
        Target("resident MB after batches of 1,000", round(peak_mb, 1), 80),
    ]
    result.bars = [
        Bars("CPU of the import", "ms, median", cpu),
        Bars("memory it adds", "MB, median", {row["imported"]: row["added_mb"] for row in rows}),
    ]


def _probe(code: str, given: str = "") -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE % code],
        cwd=ROOT,
        env=_environment(),
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _imports(code: str) -> bool:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == 0


def _environment() -> dict[str, str]:
    """The package carries its .pyc files: a shell that forbids Python to write them would time the compiler."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"PYTHONPATH": str(ROOT / "src"), "POWERTOOLS_SERVICE_NAME": "bench"}
