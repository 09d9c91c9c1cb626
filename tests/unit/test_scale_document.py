"""The agent's loop in docs/scale.md: a fleet that starts at once spreads out, and waits as long as it is told."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

PERIOD_S = 60
DOCUMENT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
PART = DOCUMENT.split("\n## Running a million devices\n")[1].split("\n## ")[0]


class Over(Exception):
    """The end of what is looked at."""


def run_agent(seed: int, answers: list[tuple[int, float]]) -> tuple[list[float], list[float]]:
    """Play the loop until the answers are used up; return when it sent and how long it waited after each."""
    clock = 0.0
    sent: list[float] = []
    remaining = iter(answers)

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    def post(_: object) -> tuple[int, float]:
        sent.append(clock)
        answer = next(remaining, None)
        if answer is None:
            raise Over
        return answer

    (code,) = re.findall(r"```python\n(.*?)```", PART, flags=re.DOTALL)
    names = {
        "time": SimpleNamespace(sleep=sleep),
        "random": random.Random(seed),  # noqa: S311 - nothing to guess
        "PERIOD_S": PERIOD_S,
        "heartbeat": dict,
        "post": post,
    }
    with pytest.raises(Over):
        exec(compile(code, "docs/scale.md", "exec"), names)  # noqa: S102 - our own document
    return sent, [later - earlier for earlier, later in pairwise(sent)]


def test_a_fleet_that_starts_at_once_is_spread_over_the_period() -> None:
    """1,000 agents: about 167 in each ten seconds, and no longer in step after an hour."""
    fleet = [run_agent(seed, [(200, 0)] * 60)[0] for seed in range(1_000)]
    for sends in (0, 60):
        in_ten_seconds = [0] * 6
        for sent in fleet:
            in_ten_seconds[int(sent[sends] % PERIOD_S // 10)] += 1
        assert all(120 < count < 220 for count in in_ten_seconds), in_ten_seconds


@pytest.mark.parametrize("status", [429, 503])
def test_an_agent_that_is_turned_away_waits_as_told_and_a_random_time_more(status: int) -> None:
    waits = [run_agent(seed, [(status, 5)] * 5)[1] for seed in range(200)]
    for attempt in range(5):
        more = sorted(wait[attempt] - 5 for wait in waits)
        assert more[0] >= 0
        assert 2**attempt * 0.9 < more[-1] <= 2**attempt


@pytest.mark.parametrize("status", [200, 207, 400, 403])
def test_an_answer_ends_the_attempts(status: int) -> None:
    _, waits = run_agent(1, [(status, 0)] * 3)
    assert all(0.9 * PERIOD_S <= wait <= 1.1 * PERIOD_S for wait in waits)
