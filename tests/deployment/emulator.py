"""ministack, an AWS emulator that runs functions as local processes, and the AWS CLI pointed at it.

What it does not have, and these tests therefore do not show: it runs every function under its own Python, whatever the
runtime says (test_runtime_client.py runs the real client under python3.13 where there is one); it enforces neither IAM
nor resource policies unless told to; its CloudFormation refuses alarms with metric math; its IoT rules know no action
for Kinesis; memory, reserved concurrency and the age of asynchronous events are kept and not acted on as AWS would.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REGION = "eu-central-1"
ACCOUNT = "000000000000"
READY_WITHIN_S = 60.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(question: Callable[[], object], what: str, within_s: float = 30.0) -> None:
    """Ask until the answer is true; fail the test, naming `what`, when it does not become so in time."""
    end = time.monotonic() + within_s
    while not question():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {within_s:.0f} s")
        time.sleep(0.2)


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Return status and body of the answer to a POST, whatever the status."""
    request = urllib.request.Request(url, body, headers or {}, method="POST")  # noqa: S310 - an address of this machine
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


# Run by the tools' own Python, whose botocore knows Signature Version 4.
_SIGN = """
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
url, region = sys.argv[1:]
request = AWSRequest("POST", url, {"content-type": "application/json"}, sys.stdin.buffer.read())
SigV4Auth(Credentials("test", "test"), "execute-api", region).add_auth(request)
print(json.dumps(dict(request.headers.items())))
"""


def post_signed(python: str, url: str, body: bytes) -> tuple[int, str]:
    """POST as a device does that has credentials of AWS."""
    signed = subprocess.run([python, "-c", _SIGN, url, REGION], input=body, check=True, capture_output=True)
    return post(url, body, json.loads(signed.stdout))


@contextlib.contextmanager
def running_emulator(program: str, folder: Path) -> Iterator[str]:
    """Start ministack on a free port of 127.0.0.1 and give its address; it ends with the block."""
    port = free_port()
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # its MQTT listener would be open to the network
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "PG", "PYTHON"))}
    with (folder / "emulator.log").open("wb") as log:
        server = subprocess.Popen([program], env=kept | settings, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            address = f"http://127.0.0.1:{port}"
            eventually(lambda: _answers(address, server), "the emulator's first answer", READY_WITHIN_S)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=30)


def _answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, "the emulator ended at once; see emulator.log in pytest's temporary folder"
    try:
        with urllib.request.urlopen(f"{address}/_ministack/health", timeout=2):  # noqa: S310 - an address of this machine
            return True
    except OSError:
        return False


@functools.cache
def _client(address: str, service: str) -> Any:
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return botocore.session.get_session().create_client(service, REGION, endpoint_url=address, **keys)


@dataclass(frozen=True)
class Cloud:
    """An emulated account and region, and the CLI that deploy.sh talks to it with."""

    address: str
    cli: Path
    folder: Path

    @property
    def command_lines(self) -> Path:
        """The file that every command line of the CLI is written to."""
        return self.folder / "command-lines"

    def environment(self, cli: Path | None = None) -> dict[str, str]:
        """Return the environment in which `aws` means the emulator, also to a CLI that knows no AWS_ENDPOINT_URL."""
        program = cli or self.cli
        shim = self.folder / ("cli" + str(program).replace("/", "-")) / "aws"
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(
            f'#!/bin/sh\necho "$@" >>{self.command_lines}\nexec {program} --endpoint-url {self.address} "$@"\n'
        )
        shim.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "HEARTBEAT_"))}
        return kept | {
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.address,
            "AWS_PAGER": "",
        }

    def aws(self, service: str, operation: str, **parameters: Any) -> Any:
        """Call an operation of the account; return the answer."""
        answer = getattr(_client(self.address, service), operation)(**parameters)
        del answer["ResponseMetadata"]
        return answer

    def logged(self, function_name: str) -> list[dict[str, Any]]:
        """Return the JSON lines that a function logged so far."""
        events = self.aws("logs", "filter_log_events", logGroupName=f"/aws/lambda/{function_name}")["events"]
        lines = [line for event in events for line in event["message"].splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]
