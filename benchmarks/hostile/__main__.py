"""`python -m benchmarks.hostile`: hostile records within Lambda's limits, each with a good one beside it.

At 128 MB no event may make an invocation miss its deadline, take the container's memory, or lose the good record.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.hostile.events import SHAPES, cases
from benchmarks.hostile.runs import Run, run
from tests.small_lambda.cgroup import NoCgroup

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK_LINES = 30
FAULTS = ("missed", "killed", "stuck")


def table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row for each shape."""
    by_shape: dict[str, list[Run]] = defaultdict(list)
    for done in sorted(runs, key=lambda done: done.case.number):
        by_shape[done.case.name].append(done)
    return [
        {
            "shape": name,
            "runs": len(done),
            "worst s": round(max(one.seconds for one in done), 2),
            "worst peak MiB": round(max(one.peak_mib for one in done)),
            **{fault: sum(one.fault == fault for one in done) for fault in FAULTS},
            "lost": sum(one.lost for one in done),
            "other": sum(one.fault is not None and one.fault not in FAULTS for one in done),
            "most tries": max(one.tries for one in done),
        }
        for name, done in by_shape.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that were asked for; 1 when one of them did harm."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES))
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first one, to run one again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds that an invocation may take")
    parser.add_argument("--tries", type=int, default=20, help="how often an event may come again")
    options = parser.parse_args(arguments)
    if unknown := set(options.shapes) - set(SHAPES):
        parser.error(f"there is no shape {', '.join(sorted(unknown))}; there are {', '.join(SHAPES)}")

    def tell(done: Run, elapsed: float) -> None:
        how = f"{done.seconds:6.2f} s {done.peak_mib:4.0f} MiB {done.tries:2} {done.harm}"
        print(f"{elapsed:5.0f} {done.case.number:5} {how:36} {done.case.name} by {done.case.carrier}", file=sys.stderr)

    todo = islice(cases(options.seed, options.shapes), options.first, options.first + options.records)
    try:
        runs = run(todo, (options.timeout, options.tries), tell)
    except NoCgroup as reason:
        parser.exit(2, f"Lambda's limits cannot be set here: {reason}\n")
    harmful = sorted((done for done in runs if done.harm), key=lambda done: done.case.number)
    report.show(report.Result("hostile", report.machine() | {"seed": options.seed}, {"128 MB": table(runs)}))
    for done in harmful:
        print(f"{done.case.number}: {done.case.name} by {done.case.carrier}: {done.harm}, {done.seconds:.1f} s")
        if done.fault == "missed":  # the log ends with what it was busy with
            print(textwrap.indent("\n".join(done.log.splitlines()[-STACK_LINES:]), "    "))
    print(f"{len(runs)} hostile records, {len(harmful)} did harm")
    return 1 if harmful else 0


if __name__ == "__main__":
    sys.exit(main())
