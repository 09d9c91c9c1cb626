"""Several workers on one machine (`pytest -n`): a test that is marked `alone` has it to itself."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

if "PYTEST_XDIST_WORKER" in os.environ:
    # The first process has loaded readline, which tells every process started later what it takes for the terminal's
    # size. The command believes these variables, and that as soon as it is imported.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


def pytest_configure(config: pytest.Config) -> None:
    """Have each worker of a run wait for its turn; a single process need not."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        config.pluginmanager.register(Turns(given["testrunuid"]))


class Turns:
    """Who may run now, by two locks that the workers of a run share: a room, and the door to it."""

    def __init__(self, run: str) -> None:
        folder = Path(tempfile.gettempdir())
        self._files = [(folder / f"hvac-heartbeat-{run}-{name}").open("w") for name in ("door", "room")]

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of pytest-timeout, which must not count the wait
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Share the room, or wait until it is empty; who waits keeps the door shut, or others would come in again."""
        door, room = self._files
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)

    def pytest_unconfigure(self) -> None:
        """Remove the files; another worker that still runs has them open."""
        for file in self._files:
            file.close()
            Path(file.name).unlink(missing_ok=True)
