"""The simulated month: ledger, episodes and messages are what an independent oracle says, whatever happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.simulated_month.month import theatre

if TYPE_CHECKING:
    from tests.conftest import Database

_SECONDS: Final = 80

# Each of them breaks one rule. That the months see it is what makes them worth their time.
_BROKEN: Final = {
    "told later than after half as long again": ("stale_after * 1.5\n", "stale_after * 1.6\n"),
    "stale at the limit": ("< now() - rule.stale_after AS", "<= now() - rule.stale_after AS"),
    "grace says that a device is back": ("silent_from AND last_seen_ts >= now() - stale_after\n", "silent_from\n"),
    "late heartbeats are no evidence": (
        "WHEN (late.seen_at < (SELECT silent_to",
        "WHEN (false AND late.seen_at < (SELECT silent_to",
    ),
    "a drained queue is not waited for": ("(WHERE is_late) >= greatest(3,", "(WHERE is_late) >= greatest(9999,"),
    "flapping ends too early": ("interval '15 minutes', false)", "interval '5 minutes', false)"),
    "known after two heartbeats": ("silent_from >= first_seen_ts) >= 3", "silent_from >= first_seen_ts) >= 2"),
    "the end is told in maintenance": ("AND NOT told_closed AND is_maintained(device_id)", "AND false"),
    "told again with the next of its site": ("AND NOT told_closed AND NOT told_open\n", "AND NOT told_closed\n"),
    "sites that fall silent at once are told one by one": ("<= interval '2 minutes')", "<= interval '1 second')"),
    "sites that fall silent at once are not told of for hours": (
        "- interval '30 minutes'\n",
        "- interval '40 minutes'\n",
    ),
    "told of before our outage shows": ("AND (quiet_from < heard - stale_after OR", "AND (true OR"),
}


def test_as_many_months_as_two_minutes_hold(empty_database: Database) -> None:
    until = time.monotonic() + _SECONDS
    seed = 0
    with theatre(empty_database.url) as stage:
        while time.monotonic() < until:
            seed += 1
            month = stage.play(seed)
            assert not month.differences, f"seed {seed}: {month.differences[0]}"
            assert (month.counts.false, month.counts.missed, month.counts.twice, month.counts.late) == (0, 0, 0, 0)


@pytest.mark.parametrize("broken", _BROKEN)
def test_a_broken_rule_is_seen(broken: str, empty_database: Database) -> None:
    with theatre(empty_database.url, dict([_BROKEN[broken]])) as stage:
        assert any(stage.play(seed).differences for seed in range(1, 6))
