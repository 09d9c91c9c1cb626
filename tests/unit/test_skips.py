"""A run without the optional parts ends with one line for each that is missing; with CI=true it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
from tests.skips import skip_or_fail

@pytest.mark.parametrize("number", range(3))
def test_with_the_tool(number):
    skip_or_fail("the tool is not here", "`make tool`")

def test_with_the_tool_again():
    skip_or_fail("the tool is not here", "`make tool`")

def test_with_the_server():
    skip_or_fail("the server is not here", "`make server`")

def test_with_nothing():
    pass
"""


def run(folder: Path, **variables: str) -> tuple[int, list[str]]:
    """Run these tests as the project's own are run; return the exit code and the lines."""
    (folder / "test_parts.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.skips", "-p", "no:cacheprovider"]
    command += ["-p", "pytest_timeout"]  # pyproject.toml has a setting of it; the other plug-ins take seconds to load
    elsewhere = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    ended = subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        env=elsewhere | variables | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines()


def test_what_is_left_out_is_told_with_a_line_for_each_reason(tmp_path: Path) -> None:
    code, lines = run(tmp_path)
    assert code == 0
    [heading] = [index for index, line in enumerate(lines) if " left out " in line]
    assert lines[heading + 1 : -1] == [
        "4 tests: the tool is not here: `make tool`",
        "1 test: the server is not here: `make server`",
    ]
    assert not [line for line in lines if line.startswith("SKIPPED")]
    assert "1 passed, 5 skipped" in lines[-1]


def test_nothing_may_be_left_out_in_ci(tmp_path: Path) -> None:
    code, lines = run(tmp_path, CI="true")
    assert code == 1
    assert "5 failed, 1 passed" in lines[-1]
    assert not [line for line in lines if " left out " in line]
