"""How soon a silence is told where it is swept each minute: at most 240 seconds after the last heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND
from tests.simulated_month.facts import FLOOR

if TYPE_CHECKING:
    from tests.simulated_month.news import Episode
    from tests.simulated_month.oracle import Oracle

_SOON: Final = 240 * SECOND


@dataclass
class Punctuality:
    """Counts what was told soon and what was told late, where nothing excuses a delay."""

    soon: int = 0
    late: int = 0
    _swept_at: int = -1
    _could_tell: bool = False
    _changed_at: int = -1

    def announced(self, at: int) -> None:
        """Note that somebody changed a rule."""
        self._changed_at = at

    def swept(self, oracle: Oracle, opened: list[Episode]) -> None:
        """Look at what a sweep opened."""
        now = oracle.now
        if self._could_tell and now - self._swept_at <= MINUTE and self._changed_at < self._swept_at:
            for episode in opened:
                if self._has_no_excuse(oracle, episode):
                    is_soon = now - episode.silent_from <= _SOON
                    self.soon += is_soon
                    self.late += not is_soon
        self._swept_at = now
        self._could_tell = not (oracle.judgement.is_fleet_silent or oracle.judgement.is_hushed)

    def _has_no_excuse(self, oracle: Oracle, episode: Episode) -> bool:
        """Say whether the rules that held a minute ago would have told of the episode then, had it been due."""
        device = oracle.facts.devices[episode.device]
        return (
            episode.told_open  # and does not wait for the digest
            and device.written <= self._swept_at
            and oracle.facts.stale_after(device) == FLOOR
            and oracle.judgement.grace_for(device) <= episode.silent_from
        )
