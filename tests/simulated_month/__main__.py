"""Plays many months, two at a time: `make simulate-months ARGS="--seeds 1000 --first 1"`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hvac_heartbeat.local.postgres import PostgresServer
from tests.simulated_month.comparison import Counts
from tests.simulated_month.month import Month, play_in_worker, prepare_worker

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROCESSES: Final = 2
_SETTINGS: Final = {"wal_level": "minimal", "max_wal_senders": "0"}
_SHOWN: Final = 5


def main() -> int:
    """Play the months and print what came of them; 1 where any differs from the oracle."""
    parser = argparse.ArgumentParser(prog="make simulate-months", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many months to play")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    asked = parser.parse_args()
    bindir = os.environ.get("TEST_POSTGRES_BINDIR")
    seeds = range(asked.first, asked.first + asked.seeds)
    started = time.monotonic()
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(Path(bindir) if bindir else None, settings=_SETTINGS))
        workers = ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn"), prepare_worker, (server.url(),))
        stack.enter_context(workers)
        played = [workers.submit(play_in_worker, seed) for seed in seeds]
        months = _report((one.result() for one in as_completed(played)), len(seeds))
    _summarise(months, time.monotonic() - started)
    return 1 if any(month.differences for month in months) else 0


def _report(months: Iterable[Month], expected: int) -> list[Month]:
    found = []
    for month in months:
        found.append(month)
        if month.differences:
            print(f"seed {month.seed}: {len(month.differences)} differences; the first:")
            print("\n".join(f"  {line}" for line in month.differences[:_SHOWN]), flush=True)
        if len(found) % 50 == 0:
            print(f"{len(found)} of {expected} months", flush=True)
    return found


def _summarise(months: list[Month], seconds: float) -> None:
    total = Counts(*(sum(column) for column in zip(*(month.counts.row for month in months), strict=True)))
    failed = [month.seed for month in months if month.differences]
    print(f"\n{'months':>20} {len(months):>9,}   failed: {', '.join(map(str, sorted(failed))) or 'none'}")
    for name, number in zip(Counts.names(), total.row, strict=True):
        print(f"{name:>20} {number:>9,}")
    print(f"{'seconds':>20} {seconds:>9,.0f}   {sum(month.seconds for month in months) / len(months):.1f} a month")


if __name__ == "__main__":
    sys.exit(main())
