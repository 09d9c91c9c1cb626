"""The zip under Lambda's real runtime client, behind the Runtime Interface Emulator, on a real PostgreSQL.

The emulator is AWS's own (it comes inside the aws-sam-cli wheel) and so is the client, awslambdaric. What differs from
Lambda: the processor may be x86_64 instead of arm64, Debian's C library stands in for Amazon Linux's, and the memory
limit is not enforced but measured: the resident size of the process is compared with 128 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deployment import tools
from deployment.package import Target, build
from tests.deployment.conftest import ARCHITECTURE
from tests.deployment.emulator import eventually, free_port, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database

MEMORY_MB = 128
EMULATOR = {"arm64": "aws-lambda-rie-arm64", "x86_64": "aws-lambda-rie-x86_64"}


@dataclass(frozen=True)
class Runtime:
    """A function that waits for events, and everything it wrote to its log."""

    address: str
    server: subprocess.Popen[bytes]
    log: Path

    def invoke(self, event: object) -> Any:
        """Send an event and return the answer as Lambda would."""
        status, answer = post(f"{self.address}/2015-03-31/functions/function/invocations", json.dumps(event).encode())
        assert status == 200, answer
        return json.loads(answer)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the embedded metric records among the log lines."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"level')]
        return [line for line in lines if "_aws" in line]

    def peak_resident_mb(self) -> float:
        """Return the largest resident size of any process below the emulator."""
        found = [int(_status(child)["VmHWM"].split()[0]) / 1024 for child in _descendants(self.server.pid)]
        return max(found)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _descendants(pid: int) -> list[int]:
    children = [
        int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()
    ]
    return children + [below for child in children for below in _descendants(child)]


@pytest.fixture(scope="module")
def runtime(
    tool: Callable[[str, str], str], fleet_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runtime]:
    python = tool("runtime", "python")
    folder = tmp_path_factory.mktemp("runtime")
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True, capture_output=True, text=True
    )
    package = build(Target(version.stdout.strip(), ARCHITECTURE), folder / "function.zip")
    task = folder / "task"
    with zipfile.ZipFile(package) as archive:
        archive.extractall(task)
    tool("tools", "sam")
    (emulator,) = (tools.HOME / "tools").glob(f"lib/python*/site-packages/samcli/local/rapid/{EMULATOR[ARCHITECTURE]}")
    port = free_port()
    environment = fleet_database.environment | {
        "PATH": os.environ["PATH"],
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": "under-test",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "AWS_REGION": "eu-central-1",
        "DB_SSLMODE": "disable",  # the database of the tests is behind a unix socket
    }
    command = [
        str(emulator), f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{free_port()}",
        python, "-m", "awslambdaric", "lambda_function.lambda_handler",
    ]  # fmt: skip
    log = folder / "function.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, cwd=task, stdout=output, stderr=subprocess.STDOUT)
        try:
            started = Runtime(f"http://127.0.0.1:{port}", server, log)
            eventually(lambda: _listens(started), "the runtime emulator's start")
            yield started
        finally:
            server.terminate()
            server.wait(timeout=30)


def _listens(runtime: Runtime) -> bool:
    assert runtime.server.poll() is None, runtime.log.read_text()
    try:
        post(f"{runtime.address}/nothing", b"")
    except OSError:
        return False
    return True


def test_a_heartbeat_goes_in_and_is_in_the_table(runtime: Runtime, fleet_database: Database) -> None:
    answer = runtime.invoke({"device_id": "rie-1", "site_id": "building-a", "status": "ready", "cpu_pct": 25.5})
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["updated_devices"] == ["rie-1"]
    with fleet_database.connect() as connection:
        row = connection.execute(
            "SELECT site_id, status, cpu_pct FROM device_state WHERE device_id = 'rie-1'"
        ).fetchone()
    assert row == ("building-a", "ready", 25.5)


def test_the_log_has_the_metrics_that_alarms_and_dashboard_read(runtime: Runtime) -> None:
    runtime.invoke({"device_id": "rie-2", "site_id": "building-a"})
    eventually(runtime.metrics, "a metric record in the log")
    (directive,) = runtime.metrics()[-1]["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "HvacHeartbeat"
    assert ["function_name"] in directive["Dimensions"]
    assert runtime.metrics()[-1]["function_name"] == "under-test"
    assert {"updated", "outdated", "rejected", "failed", "ignored_fields", "database_ms"} <= {
        metric["Name"] for metric in directive["Metrics"]
    }


def test_batches_of_a_thousand_stay_under_128_mb_resident(
    runtime: Runtime, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    devices = [{"device_id": f"rie-{number:04}", "site_id": "building-b", "cpu_pct": 1.5} for number in range(1000)]
    started = time.perf_counter()
    for _ in range(5):
        assert runtime.invoke({"devices": devices})["statusCode"] == 200
    each_ms = (time.perf_counter() - started) * 200
    peak = runtime.peak_resident_mb()
    record_property("peak_resident_mb", round(peak, 1))
    with capsys.disabled():
        print(f"\n  under the runtime client: {peak:.1f} MB resident at most, {each_ms:.0f} ms a batch of 1,000")  # noqa: T201 - a measurement
    assert peak < MEMORY_MB


def test_bad_input_is_an_answer_and_not_a_function_error(runtime: Runtime) -> None:
    answer = runtime.invoke({"device_id": "rie-3"})
    assert answer["statusCode"] == 400
    assert "errorType" not in answer
