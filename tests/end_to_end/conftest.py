"""The command as a terminal would call it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli.app import main
from tests.end_to_end.command import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def hvac(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    """Calls the command as a terminal would, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str, stdin: str = "") -> Ended:
        handler.reset()
        monkeypatch.setattr(sys, "argv", ["hvac-heartbeat", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    yield call
    handler.reset()


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that names a database."""
    for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SECRET_ARN"):
        monkeypatch.delenv(name, raising=False)
