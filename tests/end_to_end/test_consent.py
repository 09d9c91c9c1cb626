"""Sample devices go to another machine after a yes alone, from `run` and from the script alike."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.command import is_one_line
from tests.listener import DISGUISED_HOST, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RUN = (str(Path(sys.executable).with_name("hvac-heartbeat")), "run")
SCRIPT = (sys.executable, str(ROOT / "lambda_function.py"))


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Stands where the database would; whoever connects is counted."""
    with Listener() as listener:
        yield listener


def call(command: tuple[str, ...], variables: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command with these variables alone; options are subprocess's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "PG"))}
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", [RUN, SCRIPT], ids=["run", "script"])
@pytest.mark.parametrize("host", [DISGUISED_HOST, f"localhost,{DISGUISED_HOST}"])
def test_without_a_terminal_it_connects_nowhere_and_names_yes(
    listener: Listener, command: tuple[str, ...], host: str
) -> None:
    ended = call(command, listener.environment(host), stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert is_one_line(ended.stderr)
    assert "--yes" in ended.stderr
    assert listener.connections == 0


@pytest.mark.parametrize("command", [RUN, SCRIPT], ids=["run", "script"])
@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 1)])
def test_on_a_terminal_it_asks_and_goes_on_after_a_yes(
    listener: Listener, command: tuple[str, ...], answer: str, code: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    ended = call(command, listener.environment(), stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert "names another machine" in ended.stderr
    assert "[y/N]" in ended.stderr
    # The listener is no database, so that a yes ends with 1 too: but then it was asked.
    assert ended.returncode == code
    assert ("Nothing was written" in ended.stderr) == (answer != "y")
    assert (listener.connections > 0) == (answer == "y")


@pytest.mark.parametrize("command", [RUN, SCRIPT], ids=["run", "script"])
def test_with_yes_it_does_not_ask(listener: Listener, command: tuple[str, ...]) -> None:
    ended = call((*command, "--yes"), listener.environment(), stdin=subprocess.DEVNULL)
    assert ended.returncode == 1
    assert "[y/N]" not in ended.stderr
    assert listener.connections > 0
