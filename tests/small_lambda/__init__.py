"""The function as its users have it: 128 MB of memory, and with that 7.2 % of a processor.

`with SmallLambda(database.environment) as function: invocation = function.invoke(event)`
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.small_lambda import cgroup

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1 << 20
MEMORY_MIB = 128
# "At 1,769 MB, a function has the equivalent of one vCPU" (AWS Lambda Developer Guide, "Configure Lambda function
# memory"); 128 / 1,769.
CORE_SHARE = 0.072
_START_S = 60.0
_END_S = 10.0
# Joins its groups before Python starts, because memory stays with the group that asked for it first.
_JOIN = (
    'for group in $GROUPS_TO_JOIN; do echo $$ > "$group" || exit 1; done; unset GROUPS_TO_JOIN; ulimit -c 0; exec "$@"'
)


@dataclass(frozen=True)
class Invocation:
    """How one event went: an answer, an error that the handler raised, or no word at all."""

    seconds: float
    peak_mib: float  # the largest resident size; the limit where the process was killed for memory
    log: str
    answer: Any = None
    error: str | None = None  # the exception's class
    message: str = ""
    missed_deadline: bool = False
    killed_for_memory: bool = False
    crashed: int | None = None  # the exit code of a process that ended for another reason

    @property
    def completed(self) -> bool:
        """Whether the function said something in time, be it an answer or an error."""
        return not self.missed_deadline and not self.killed_for_memory and self.crashed is None

    @property
    def status(self) -> int | None:
        """The answer's status code, None where it has none."""
        return self.answer.get("statusCode") if isinstance(self.answer, dict) else None


class SmallLambda:
    """A container within limits. One that was killed, or busy at the deadline, is replaced as Lambda replaces it.

    Raises:
        NoCgroup: when this machine lets us make no cgroup.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        timeout_s: float = 30.0,
        memory_mib: int = MEMORY_MIB,
        core_share: float = CORE_SHARE,
    ) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "small-lambda",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mib),
            "AWS_REGION": "eu-central-1",
            "PYTHONFAULTHANDLER": "1",
            "DB_SSLMODE": "disable",  # the database of the tests is behind a unix socket
            **environment,
        }
        self._timeout_s = timeout_s
        self._memory_mib = memory_mib
        self._core_share = core_share
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._group = cgroup.make(memory_mib * MIB)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """The running process, None where there is none yet or any more."""
        return None if self._process is None else self._process.pid

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of its cgroups."""
        return self._group.folders

    def close(self) -> None:
        """End the process and remove the cgroup."""
        self._end()
        self._log.close()
        self._group.remove()

    def invoke(self, event: object, *, timeout_s: float | None = None) -> Invocation:
        """Send an event, JSON text as bytes or what is to become it, and wait for the answer until the deadline."""
        text = event if isinstance(event, bytes) else json.dumps(event).encode()
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._channel is not None
        kills = self._group.out_of_memory_kills()
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # the peak starts anew: proc_pid_clear_refs(5)
        said = os.fstat(self._log.fileno()).st_size
        started = time.monotonic()
        deadline = started + (self._timeout_s if timeout_s is None else timeout_s)
        try:
            self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
            self._channel.sendall(b"%f %d\n" % (deadline, len(text)) + text)
            result = self._receive(deadline)
        except TimeoutError:
            result = {"missed_deadline": True}
        except (BrokenPipeError, ConnectionResetError):
            result = None
        seconds = time.monotonic() - started
        peak = self._peak_mib()
        if result is None:
            code = self._end()
            if self._group.out_of_memory_kills() > kills:
                result, peak = {"killed_for_memory": True}, self._memory_mib
            else:
                result = {"crashed": code}
        elif "missed_deadline" in result:
            self._process.send_signal(signal.SIGABRT)  # faulthandler says in the log what it was busy with
            self._end()
        log = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size - said, said)
        return Invocation(seconds, peak, log.decode("utf-8", "replace"), **result)

    def _start(self) -> None:
        """Start a process and let it import the function with a full core, as Lambda's INIT phase has one."""
        self._group.speed_up()
        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("runtime.py")
        self._channel = ours
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _JOIN, "join", sys.executable, str(script), str(theirs.fileno())],
            env=self._environment | {"GROUPS_TO_JOIN": " ".join(map(str, self._group.members))},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        theirs.close()
        if self._receive(time.monotonic() + _START_S) is None:
            self._end()
            raise RuntimeError(f"the function did not start: {self._tail()}")
        self._group.slow_down(self._core_share)

    def _receive(self, deadline: float) -> dict[str, Any] | None:
        """Return the line that the process sends; None when it ended instead.

        Raises:
            TimeoutError: when there is none by the deadline.
        """
        assert self._channel is not None
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
            part = self._channel.recv(MIB)
            if not part:
                return None
            parts.append(part)
        line: dict[str, Any] = json.loads(b"".join(parts))
        return line

    def _end(self) -> int | None:
        """End the process; return its exit code."""
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        if process is None or channel is None:
            return None
        channel.close()
        self._group.speed_up()  # or it takes its time even to die
        try:
            return process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(_END_S)

    def _peak_mib(self) -> float:
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except FileNotFoundError:
            return 0.0
        peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(peak[0]) / 1024 if peak else 0.0

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), 2000, max(size - 2000, 0)).decode("utf-8", "replace").strip()
