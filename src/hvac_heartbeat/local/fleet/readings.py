"""What the devices of a made-up fleet say of themselves, their uploads among it."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.fleet.incidents import SECOND
from hvac_heartbeat.local.fleet.live import PERIOD

if TYPE_CHECKING:
    from hvac_heartbeat.local.fleet.live import LiveFleet
    from hvac_heartbeat.local.fleet.stream import Heartbeat

_STATUSES: Final = ("ready",) * 95 + ("degraded",) * 4 + ("error",)
_VERSIONS: Final = ("2.3.1",) * 8 + ("2.2.0", "1.9.4")
_POINTS: Final = 4  # files that a device has to upload in a minute


class Readings:
    """What each device says; the same from the same seed, but for the last digits. `started` is epoch seconds."""

    def __init__(self, seed: int, fleet: LiveFleet, started: float) -> None:
        self._chance = Random(seed)  # noqa: S311 - the same fleet again
        self._started = started
        self._stuck = fleet.incidents.stuck
        self._always = {device: self._character() for device in fleet.incidents.devices}

    def _character(self) -> dict[str, Any]:
        return {
            "status": self._chance.choice(_STATUSES),
            "agent_version": self._chance.choice(_VERSIONS),
            "cpu_pct": self._chance.randint(5, 60),
            "disk_free_gb": self._chance.randint(4, 120),
            "poll_interval_s": PERIOD // SECOND,
        }

    def heartbeat(self, beat: Heartbeat) -> dict[str, Any]:
        """Return a heartbeat as an agent sends it."""
        always = self._always[beat.device]
        at = beat.received_at
        stuck_from = self._stuck.get(beat.device)
        is_stuck = stuck_from is not None and stuck_from <= at
        uploaded = stuck_from if stuck_from is not None and is_stuck else at - self._chance.randint(1, 50) * SECOND
        waiting = _POINTS * (at - uploaded) // PERIOD + 1 if is_stuck else self._chance.choice((0, 0, 0, 1, 2))
        return {
            "device_id": beat.device,
            "site_id": beat.site,
            **always,
            "cpu_pct": round(always["cpu_pct"] + self._chance.random() * 10, 1),
            "queue_depth": waiting,
            "last_upload_ts": datetime.fromtimestamp(self._started + uploaded / SECOND, UTC).isoformat("T", "seconds"),
        }
