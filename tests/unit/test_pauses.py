"""How long the store waits before it tries again."""

from __future__ import annotations

import pytest

from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import _LONGEST_PAUSE_S, Database
from hvac_heartbeat.store.failures import Failure, Remedy


@pytest.mark.parametrize("attempt", [0, 1, 10, 1_100, 999_999])
def test_a_pause_is_never_longer_than_the_longest_after_any_number_of_attempts(attempt: int) -> None:
    pause = Database(Settings())._pause(Failure(Remedy.PAUSE, "the server restarts"), attempt, set())
    assert pause is not None
    assert 0 <= pause <= _LONGEST_PAUSE_S
