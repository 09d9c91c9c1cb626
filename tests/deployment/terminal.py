"""A program on a terminal, and a person before it who answers its questions."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

QUESTION = re.compile(r"\[[^\[\]\n]*\]: $|: $")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def converse(
    command: Sequence[str], environment: dict[str, str], folder: Path, answer: Callable[[str], str], within_s: float
) -> tuple[int, str]:
    """Run a program on a pty, answer each line that ends in a question, and return its exit code and all it said."""
    ours, its = pty.openpty()
    program = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, cwd=folder, close_fds=True)
    os.close(its)
    said, answered, end = "", 0, time.monotonic() + within_s
    try:
        while time.monotonic() < end:
            if select.select([ours], [], [], 1.0)[0]:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # the program has closed the terminal
                    break
                said = _COLOUR.sub("", said + read.decode(errors="replace")).replace("\r\n", "\n")
            question = said[answered:].rsplit("\n", 1)[-1]
            if QUESTION.search(question):
                os.write(ours, (answer(question) + "\n").encode())
                answered = len(said)
        else:
            raise AssertionError(f"still asking or working after {within_s:.0f} s:\n{said[-2000:]}")
        return program.wait(timeout=30), said
    finally:
        os.close(ours)
        program.kill()
        program.wait()
