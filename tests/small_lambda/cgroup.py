"""A cgroup with a part of a processor and of the memory, of version 1 or 2, whichever this machine lets us make.

Source: Linux kernel documentation, "CFS Bandwidth Control", "Memory Resource Controller", "Control Group v2".
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
_PREFIX = "hvac-small-lambda"
_REMOVAL_S = 10.0
_numbers = count()


class NoCgroup(Exception):
    """This machine lets us make no cgroup; the message says why."""


class Cgroup(ABC):
    """A group of processes with at most so many bytes and, once `slow_down` was called, so much of a processor."""

    folders: tuple[Path, ...]

    @abstractmethod
    def slow_down(self, share: float) -> None:
        """Give the group this share of one core."""

    @abstractmethod
    def speed_up(self) -> None:
        """Give the group all the time there is."""

    @abstractmethod
    def out_of_memory_kills(self) -> int:
        """Return how many of its processes the kernel has killed for memory."""

    @abstractmethod
    def _limit_memory(self, size: int) -> None:
        """Set the memory limit, with no swap beyond it."""

    @property
    def members(self) -> tuple[Path, ...]:
        """The files that a process writes its id to in order to join."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def _make(self, memory: int) -> Self:
        try:
            for folder in self.folders:
                _remove_orphans(folder.parent)
                folder.mkdir()
            self._limit_memory(memory)
            self.slow_down(1)
            self.speed_up()
        except BaseException:
            self.remove()
            raise
        return self

    def remove(self) -> None:
        """Remove the group, which must have no process any more."""
        for folder in self.folders:
            _remove(folder, time.monotonic() + _REMOVAL_S)


class _Version1(Cgroup):
    """Two hierarchies, one for each controller."""

    def __init__(self, name: str) -> None:
        self._cpu, self._memory = self.folders = (ROOT / "cpu" / name, ROOT / "memory" / name)

    def slow_down(self, share: float) -> None:
        (self._cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (self._cpu / "cpu.cfs_quota_us").write_text(str(round(PERIOD_US * share)))

    def speed_up(self) -> None:
        (self._cpu / "cpu.cfs_quota_us").write_text("-1")

    def out_of_memory_kills(self) -> int:
        return _number(self._memory / "memory.oom_control", "oom_kill")

    def _limit_memory(self, size: int) -> None:
        (self._memory / "memory.limit_in_bytes").write_text(str(size))
        with_swap = self._memory / "memory.memsw.limit_in_bytes"
        if with_swap.exists():  # not where the kernel does not count swap
            with_swap.write_text(str(size))


class _Version2(Cgroup):
    """One hierarchy for all controllers; `parent` must hand both of ours down."""

    def __init__(self, name: str, parent: Path) -> None:
        self._folder = parent / name
        self.folders = (self._folder,)

    def slow_down(self, share: float) -> None:
        (self._folder / "cpu.max").write_text(f"{round(PERIOD_US * share)} {PERIOD_US}")

    def speed_up(self) -> None:
        (self._folder / "cpu.max").write_text(f"max {PERIOD_US}")

    def out_of_memory_kills(self) -> int:
        return _number(self._folder / "memory.events", "oom_kill")

    def _limit_memory(self, size: int) -> None:
        (self._folder / "memory.max").write_text(str(size))
        swap = self._folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")


def make(memory: int) -> Cgroup:
    """Make a group with this many bytes of memory.

    Raises:
        NoCgroup: when the machine allows none.
    """
    name = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
    refused = [f"no cgroup with cpu and memory controllers below {ROOT}"]
    for group in _candidates(name):
        try:
            return group._make(memory)
        except OSError as error:
            refused.append(f"{error.filename}: {error.strerror}")
    raise NoCgroup(refused[-1])


def _candidates(name: str) -> Iterator[Cgroup]:
    if (ROOT / "cpu" / "cpu.cfs_quota_us").exists() and (ROOT / "memory" / "memory.limit_in_bytes").exists():
        yield _Version1(name)
    if (ROOT / "cgroup.controllers").exists():
        ours = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
        # The kernel lets a group with processes in it hand nothing down, so it is one above ours that does.
        for parent in (ROOT / ours, *(ROOT / ours).parents):
            handed_down = parent / "cgroup.subtree_control"
            if handed_down.exists() and {"cpu", "memory"} <= set(handed_down.read_text().split()):
                yield _Version2(name, parent)


def _number(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == name)


def _remove(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # A process that has been waited for still counts for a moment.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _remove_orphans(parent: Path) -> None:
    """Remove what a run left behind that was killed."""
    for folder in parent.glob(f"{_PREFIX}-*"):
        if not Path("/proc", folder.name.split("-")[-2]).exists():
            with contextlib.suppress(OSError):  # another run may be removing it just now
                folder.rmdir()
