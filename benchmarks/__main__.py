"""`python -m benchmarks [NAME ...]`: run benchmarks, print their tables, keep their results."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import page, report
from benchmarks.server import open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = ("ingest", "forms", "billed", "cold_start", "write_budget", "scale", "hold", "neighbours", "silence", "sweep")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were named, or all of them; 0 when they ran, whatever they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="a few seconds each, to see that they run; saves nothing")
    parser.add_argument("--minutes", type=float, default=10, help="how long hold keeps its pace")
    parser.add_argument(
        "--no-save", action="store_true", help="leave benchmarks/results and docs/performance.md as they are"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in options.names or NAMES:
        circumstances = report.machine()
        benchmark = import_module(f"benchmarks.{name}")
        more = {"minutes": options.minutes} if name == "hold" else {}
        with _progress(name) as progress, open_server(getattr(benchmark, "SETTINGS", None)) as server:
            result: report.Result = benchmark.run(server, progress, quick=options.quick, **more)
        result.circumstances = circumstances | result.circumstances
        report.show(result)
        if not (options.quick or options.no_save):
            report.save(result)
            page.write()
    return 0


class _progress:  # noqa: N801 - used as a function
    """A progress bar on standard error, so that the tables alone can be redirected."""

    def __init__(self, name: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(name, total=1.0)
        self._name = name

    def __enter__(self) -> Callable[[str, float], None]:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, what: str, share: float) -> None:
        self._progress.update(self._task, description=f"{self._name}: {what}", completed=share)


if __name__ == "__main__":
    sys.exit(main())
