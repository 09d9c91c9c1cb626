"""What Lambda's own runtime client lets through of the log, and what it does with it when the container ends.

The client is the one that Lambda runs (awslambdaric). Lambda's side of the Runtime API ("Using the Lambda runtime API
for custom runtimes", AWS Lambda Developer Guide) is a server here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GOOD = {"device_id": "d", "site_id": "s"}
TIMEOUT_S = 30.0


class RuntimeApi(ThreadingHTTPServer):
    """Hands events to a runtime client, one at a time, and takes its answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.events: Queue[object] = Queue()
        self.answers: Queue[Any] = Queue()

    def invoke(self, event: object) -> Any:
        self.events.put(event)
        return self.answers.get(timeout=TIMEOUT_S)


class _Calls(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer `next` when there is an event; the client waits for as long as it takes."""
        body = json.dumps(self.server.events.get()).encode()
        self._answer(200, body, deadline=str(int((time.time() + TIMEOUT_S) * 1000)))

    def do_POST(self) -> None:
        """Take an answer or an error."""
        self.server.answers.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(202, b"{}")

    def _answer(self, status: int, body: bytes, deadline: str = "") -> None:
        self.send_response(status)
        if deadline:
            self.send_header("Lambda-Runtime-Aws-Request-Id", "11111111-2222-3333-4444-555555555555")
            self.send_header("Lambda-Runtime-Deadline-Ms", deadline)
            self.send_header("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000")
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Say nothing."""


@pytest.fixture
def runtime_api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as served:
        Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def test_with_json_logs_the_lines_come_out_as_they_are_and_sigterm_brings_the_last_record(
    runtime_api: RuntimeApi, environment: dict[str, str]
) -> None:
    """As on python3.13, where the client waits in a thread, so that Python gets to hear of SIGTERM."""
    inside = {
        "PATH": os.environ["PATH"],
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "under-test",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime_api.server_port}",
        "AWS_REGION": "eu-west-1",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "DB_SSLMODE": "disable",  # the database of the tests is behind a unix socket
    }
    client = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"],
        env=inside | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for _ in range(4):
            assert runtime_api.invoke(GOOD)["statusCode"] == 200
        client.send_signal(signal.SIGTERM)
        written, _ = client.communicate(timeout=TIMEOUT_S)
    finally:
        client.kill()
        client.wait()
    assert client.returncode == -signal.SIGTERM  # as without our handler
    lines = [json.loads(line) for line in written.splitlines()]
    assert all("_aws" in line for line in lines)
    assert lines[0]["cold_start"] is True
    assert lines[-1]["message"] == "invocations"
    assert sum(line["updated"] for line in lines) == 4
