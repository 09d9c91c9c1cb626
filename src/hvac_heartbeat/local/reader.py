"""What a program does when the reader of its output went away, as `| head` does."""

from __future__ import annotations

import os
import sys


def give_up_on_the_reader() -> None:
    """Lead standard output nowhere, or Python would complain once more while it closes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
