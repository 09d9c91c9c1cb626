"""The hostile records are what they say, and the benchmark tells harm from none."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from benchmarks.hostile.events import PAYLOAD_LIMIT, RECORD_LIMIT, SHAPES, cases, event

if TYPE_CHECKING:
    from tests.small_lambda import SmallLambda

ROOT = Path(__file__).parents[2]


def hostile(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.hostile", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_the_same_for_the_same_seed_and_no_larger_than_asked(name: str) -> None:
    made = [SHAPES[name].make(Random(f"7/{number}"), 20_000) for number in range(4) for _ in range(2)]  # noqa: S311
    assert made[::2] == made[1::2]
    assert all(0 < len(record) <= 20_000 for record in made)


@pytest.mark.slow
def test_every_event_is_one_that_lambda_would_take() -> None:
    for case in islice(cases(1, []), 200):
        assert len(event(case)) <= (RECORD_LIMIT if case.carrier == "direct" else PAYLOAD_LIMIT)


@pytest.mark.slow
def test_records_that_do_no_harm_are_counted(small_lambda: SmallLambda) -> None:
    ran = hostile("valid heartbeats", "cut off", "--records", "8")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 hostile records, 0 did harm" in ran.stdout


@pytest.mark.slow
def test_harm_is_told_by_record_and_ends_in_failure(small_lambda: SmallLambda) -> None:
    ran = hostile("valid heartbeats", "--records", "1", "--timeout", "0.02")
    assert ran.returncode == 1
    assert "0: valid heartbeats by kinesis: missed" in ran.stdout
