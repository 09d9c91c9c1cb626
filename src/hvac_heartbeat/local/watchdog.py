"""Ends a throwaway server whose owner has ended, even when the owner was killed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Outlives its owner by a moment: when the pipe on its standard input closes, for whatever reason
# (SIGKILL too), it ends the server and removes the folder. It asks postmaster.pid, which
# PostgreSQL removes when it stops in order, so that it never signals a stranger.
_WATCHDOG = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
fi
rm -rf "$1"
"""


def start_watchdog(folder: Path) -> subprocess.Popen[bytes]:
    """Watch over the server in a folder for as long as this process lives."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
