"""Every benchmark still runs: a few seconds of each, whose figures mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.report import Target
from benchmarks.timing import percentile

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_needs_nothing_that_its_environment_lacks(name: str) -> None:
    """`make bench` installs requirements-bench.txt, which has no Alembic."""
    code = f"import sys; sys.modules['alembic'] = None; import benchmarks.{name}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": "src"}, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_measures_something_and_judges_it(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DB_")}
    before = sorted((ROOT / "benchmarks" / "results").glob("*"))
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--quick"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "fsync on" in ran.stdout
    assert name == "forms" or "to reach at" in ran.stdout
    assert sorted((ROOT / "benchmarks" / "results").glob("*")) == before


def test_a_name_that_is_no_benchmark_is_refused_with_the_names_that_are() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2
    assert "there are ingest, " in ran.stderr


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        (Target("", 1.0, 1.25), True),
        (Target("", 1.3, 1.25), False),
        (Target("", 6.0, 5, at_least=True), True),
        (Target("", 4.0, 5, at_least=True), False),
        (Target("", None, 5), None),
    ],
)
def test_a_target_is_reached_on_the_right_side_of_its_limit(target: Target, *, reached: bool | None) -> None:
    assert target.reached is reached


def test_the_99th_percentile_is_a_value_that_99_in_100_do_not_exceed() -> None:
    assert percentile([float(value) for value in range(1, 101)], 99) == 99
    assert percentile([1.0, 2.0], 99) == 2
