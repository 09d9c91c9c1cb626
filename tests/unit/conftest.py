"""Fixtures that several of these tests share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import invocation_log

if TYPE_CHECKING:
    from collections.abc import Iterator
from tests.unit.minute_log import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(invocation_log, "time", clock)
    before = signal.getsignal(signal.SIGTERM)
    yield clock
    signal.signal(signal.SIGTERM, before)
