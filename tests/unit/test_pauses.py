"""How long the store waits before it tries again."""

from __future__ import annotations

import time
from itertools import chain, repeat
from unittest.mock import Mock

import psycopg
import pytest

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store import database
from hvac_heartbeat.store.connection import ConnectFailed
from hvac_heartbeat.store.database import _LONGEST_PAUSE_S, Database
from hvac_heartbeat.store.sqlstates import Failure, Remedy
from hvac_heartbeat.store.timeout import DeadlinePassed


@pytest.mark.parametrize("attempt", [0, 1, 10, 1_100, 999_999])
def test_a_pause_is_never_longer_than_the_longest_after_any_number_of_attempts(attempt: int) -> None:
    pause = Database(Settings())._pause(Failure(Remedy.PAUSE, "the server restarts"), attempt, set())
    assert pause is not None
    assert 0 <= pause <= _LONGEST_PAUSE_S


def test_what_went_wrong_is_reported_and_not_that_the_time_ran_out_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    full = ConnectFailed(psycopg.OperationalError("FATAL:  sorry, too many clients already"), "db:5432")
    silent = ConnectFailed(DeadlinePassed("the server did not answer in time"), "db:5432")
    monkeypatch.setattr(database, "connect", Mock(side_effect=chain([full], repeat(silent))))
    with pytest.raises(StoreUnavailable, match="no connection left") as raised:
        Database(Settings()).run("SELECT 1", time.monotonic() + 0.5)
    assert raised.value.sqlstate == "53300"
