"""One cold start under AWS's Runtime Interface Emulator, which comes inside the aws-sam-cli wheel."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BATCHES = 20
_REPORT = re.compile(r"Init Duration: ([\d.]+) ms\s+Duration: ([\d.]+) ms")


def program() -> Path | None:
    """Return where `make deploy-tools` put the emulator, None when it was not called."""
    architecture = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    pattern = f".venv-deploy/tools/lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}"
    return next(iter(sorted(ROOT.glob(pattern))), None)


def cold_start(batch: dict[str, Any]) -> dict[str, float] | None:
    """Start a function, send one heartbeat, another one and batches; None when there is no emulator.

    `init_ms` and `first_ms` are the emulator's own word; what is in the latter is the connection and the write.
    """
    emulator = program()
    if emulator is None:
        return None
    port, api = _free_port(), _free_port()
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "LAMBDA_TASK_ROOT": str(ROOT),
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "DB_SSLMODE": "disable",  # the database is behind a unix socket
    }
    command = [
        str(emulator),
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{api}",
        *(sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"),
    ]
    with tempfile.TemporaryFile("w+") as log:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await_port(port)
            first = _invoke(url, {"device_id": "cold", "site_id": "start"})
            warm = [_invoke(url, {"device_id": "cold", "site_id": "start"}) for _ in range(20)]
            batches = [_invoke(url, batch) for _ in range(BATCHES)]
            resident = _peak_mb(running.pid)
        finally:
            running.terminate()
            running.wait(timeout=30)
        log.seek(0)
        report = _REPORT.search(log.read())
    reported = {"init_ms": float(report[1]), "first_ms": float(report[2])} if report else {}
    return reported | {
        "first_call_ms": first,
        "warm_call_ms": sorted(warm)[len(warm) // 2],
        "batch_of_1000_call_ms": sorted(batches)[len(batches) // 2],
        "peak_resident_mb": resident,
    }


def _invoke(url: str, event: dict[str, Any]) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=30) as response:  # noqa: S310 - on 127.0.0.1
        answer = json.load(response)
    if answer["statusCode"] != 200:
        raise RuntimeError(answer)
    return (time.perf_counter() - began) * 1000


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _peak_mb(pid: int) -> float:
    """Return the largest resident size that any process below this one has had."""
    children = [int(one) for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    return max([_peak_mb(child) for child in children], default=own)
