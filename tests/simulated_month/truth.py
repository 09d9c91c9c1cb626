"""What was told, held against what the devices truly sent: also what we lost, or what was in a queue yet.

No rule can know that. It shows what the rules are worth: each of these is a message about a device that was alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hvac_heartbeat.local.fleet.incidents import MINUTE
from hvac_heartbeat.local.fleet.stream import BATCH_WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hvac_heartbeat.local.fleet import Fleet
    from tests.simulated_month.news import Episode

_LATELY: Final = 2 * MINUTE


class Alive(NamedTuple):
    """How many were told of that had sent a heartbeat within two minutes: in and after our outages, and otherwise."""

    in_outages: int
    otherwise: int


def told_alive(fleet: Fleet, episodes: Iterable[Episode]) -> Alive:
    """Count the episodes that were told of devices which were alive when they were opened."""
    found = [
        _is_in_outage(fleet, episode.opened_at)
        for episode in episodes
        if (episode.told_open or episode.told_flapping) and _had_sent(fleet, episode)
    ]
    return Alive(sum(found), len(found) - sum(found))


def _had_sent(fleet: Fleet, episode: Episode) -> bool:
    # What arrived just now may be written in a moment: that is nobody's delay.
    since, until = max(episode.silent_from, episode.opened_at - _LATELY), episode.opened_at - BATCH_WINDOW
    for stretch in fleet.stretches[episode.device]:
        number = min((until - stretch.starts) // stretch.period, stretch.beats - 1)
        if number >= 0 and stretch.received(number) > until:
            number -= 1
        if number >= 0 and stretch.received(number) > since:
            return True
    return False


def _is_in_outage(fleet: Fleet, at: int) -> bool:
    return any(outage.starts <= at <= outage.drained + _LATELY for outage in fleet.incidents.outages)
