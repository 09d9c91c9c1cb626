"""How much work the heartbeats make that a store refuses."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.verdicts import Outcome, Verdict, Written
from hvac_heartbeat.writing import write

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 5_000
COMPLAINT = ("site_id", "violates x")


class NoSuchSite:
    """A store that refuses every site but one."""

    def __init__(self) -> None:
        self.statements = 0

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        self.statements += 1
        return Written(rejected={one.device_id: COMPLAINT for one in heartbeats if one.site_id != "good"})


def test_thousands_of_refused_sites_of_one_device_are_looked_at_once_each() -> None:
    """Merged anew after each refusal they took half a minute of a whole processor."""
    now = datetime.now(UTC)
    heartbeats = [Heartbeat("d", f"s{n}", now - timedelta(seconds=n)) for n in range(MANY)]
    heartbeats.append(Heartbeat("d", "good", now - timedelta(days=1)))
    outcome = Outcome((), verdicts=[Verdict.UPDATED] * (MANY + 1), device_ids=["d"] * (MANY + 1))
    store = NoSuchSite()
    began = time.process_time()
    write(heartbeats, outcome, store, time.monotonic() + 60)
    assert time.process_time() - began < 2
    assert store.statements <= MANY + 1
    assert outcome.verdicts == [Verdict.REJECTED] * MANY + [Verdict.UPDATED]
    assert [found.index for found in outcome.rejected] == list(range(MANY))
