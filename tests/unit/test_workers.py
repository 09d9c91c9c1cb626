"""A test that is marked `alone` runs beside no other, whichever worker has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("kind", [pytest.param("alone", marks=pytest.mark.alone), "shared"])
def test_for_a_while(kind, number):
    began = time.monotonic()
    time.sleep(0.05)
    line = f"{kind} {began} {time.monotonic()}\\n"
    with Path(__file__).with_name("turns").open("a") as turns:
        turns.write(line)
"""


def test_a_test_that_is_alone_runs_beside_no_other_and_the_others_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_turns.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", "-p", "tests.workers"]
    command += ["-p", "pytest_timeout", "-p", "xdist", "-n", "2"]  # the other plug-ins take seconds to load
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(tmp_path)}
    subprocess.run([*command, str(folder)], cwd=ROOT, env=environment, check=True, capture_output=True)
    lines = [line.split() for line in (folder / "turns").read_text().splitlines()]
    turns = [(kind, float(began), float(ended)) for kind, began, ended in lines]
    pairs = [(one, other) for one in turns for other in turns if one != other]
    beside = [{one[0], other[0]} for one, other in pairs if one[1] < other[2] and other[1] < one[2]]
    assert len(turns) == 12
    assert {"shared"} in beside
    assert all("alone" not in kinds for kinds in beside)
    assert not list(tmp_path.glob("hvac-heartbeat-*")), "the locks are gone"
