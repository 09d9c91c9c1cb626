"""What a program does when the program that reads its output has ended, as `| head` does."""

from __future__ import annotations

import os
import sys


def discard_output() -> None:
    """Lead standard output nowhere, or Python would complain once more while it closes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
