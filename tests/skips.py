"""Tests whose optional part is not here: one line for each reason, and a failure where every part has to be there."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def skip_or_fail(missing: str, remedy: str) -> NoReturn:
    """Skip the test, saying what is missing and how to get it; with CI=true nothing may be left out."""
    why = f"{missing}: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of a run what was left out: pytest's own list has a line for every place in the code."""
    reasons = Counter(_reasons(terminalreporter.stats.get("skipped", [])))
    if reasons:
        terminalreporter.write_sep("=", "left out")
    for reason, tests in reasons.most_common():
        terminalreporter.write_line(f"{tests} test{'s' * (tests > 1)}: {reason}")


def _reasons(skipped: list[pytest.TestReport]) -> Iterator[str]:
    for report in skipped:
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longreprtext)
        yield reason.removeprefix("Skipped: ")
