"""What was sent and what was answered: counts, and the gaps that each device left between heartbeats."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hvac_heartbeat.local.fleet import Heartbeat

Verdict: TypeAlias = Literal["written", "outdated", "rejected", "failed"]
VERDICTS: Final[tuple[Verdict, ...]] = ("written", "outdated", "rejected", "failed")
FLOOR_S: Final = 120.0  # a gap that is longer is a silence of the ledger
SLACK_S: Final = 3.0  # how far apart two clocks may be, and how long a heartbeat may be on its way


@dataclass(frozen=True)
class Gap:
    """A device's time between two heartbeats that were written; without an end it lasts.

    It is uncertain when a heartbeat in between may have been written although nobody answered.
    """

    device: str
    silent_from: float
    silent_to: float | None
    is_certain: bool


@dataclass
class Trail:
    """What is known of one device: where it is, and when its last heartbeat was sent that was written."""

    site: str
    last: float | None = None
    is_certain: bool = True
    gaps: list[Gap] = field(default_factory=list)


class Account:
    """Counts heartbeats by verdict and keeps each device's trail; several threads may write to it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[Verdict] = Counter()
        self.trails: dict[str, Trail] = {}

    @property
    def sent(self) -> int:
        """How many heartbeats were sent, those among them that reached nobody."""
        return self.counts.total()

    def note(
        self, beats: Sequence[Heartbeat], verdicts: Sequence[Verdict], posted: float, *, is_certain: bool = True
    ) -> None:
        """Note what became of heartbeats that were posted then; not certain: what failed may have been written."""
        with self._lock:
            self.counts.update(verdicts)
            for beat, verdict in zip(beats, verdicts, strict=True):
                trail = self.trails.setdefault(beat.device, Trail(beat.site))
                if verdict == "written":
                    _go_on(trail, beat.device, posted)
                elif verdict == "failed" and not is_certain:
                    trail.is_certain = False

    def gaps(self, ended: float) -> Iterator[Gap]:
        """Return the gaps that are or may be silences, those that last when the run has ended among them."""
        for device, trail in self.trails.items():
            yield from trail.gaps
            if trail.last is not None and ended - trail.last > FLOOR_S - SLACK_S:
                yield Gap(device, trail.last, None, trail.is_certain)


def _go_on(trail: Trail, device: str, at: float) -> None:
    if trail.last is not None and at - trail.last > FLOOR_S - SLACK_S:
        trail.gaps.append(Gap(device, trail.last, at, trail.is_certain))
    if trail.last is None or at > trail.last:
        trail.last, trail.is_certain = at, True
