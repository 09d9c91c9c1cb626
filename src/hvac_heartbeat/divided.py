"""The heartbeats of one device that the database refused as one, although each for itself might not be."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hvac_heartbeat.heartbeat import Complaint, arrival_order, merge
from hvac_heartbeat.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hvac_heartbeat.heartbeat import Heartbeat
    from hvac_heartbeat.verdicts import Outcome, Written


class Divided:
    """Hands the heartbeats out in parts, the oldest first, each of them to be written as one.

    Where a site was refused, a part is what comes in a row from sites that are known to be good, or from one that is
    not known yet: two statements for each site, and never one for each of thousands of heartbeats, which would hold up
    a shard. Where nobody knows which field is at fault, a part is one heartbeat.
    """

    def __init__(self, placed: Mapping[int, Heartbeat], complaint: tuple[str, str]) -> None:
        """Take the heartbeats by their places in the event, and what was said of all of them together."""
        self._placed = placed
        self._left = deque(sorted(placed, key=lambda place: arrival_order(placed[place])))
        self._good: set[str] = set()
        self._refused: dict[str, tuple[str, str]] = {}
        self._singly = complaint[0] != "site_id"
        if not self._singly:
            self._refused[placed[self._left[-1]].site_id] = complaint  # the newest one's is what was written

    def next_part(self, outcome: Outcome) -> list[int]:
        """Return the places of the next part, none at the end; what is at a refused site is rejected on the way."""
        part: list[int] = []
        while self._left:
            place = self._left[0]
            complaint = self._refused.get(self._site(place))
            if complaint is None and part and not self._belongs(place, part):
                break
            self._left.popleft()
            if complaint is None:
                part.append(place)
            else:
                _reject(place, self._placed[place].device_id, complaint, outcome)
        return part

    def merged(self, part: Sequence[int]) -> Heartbeat:
        """Return a part as the one heartbeat that is written."""
        return merge(self._placed[place] for place in part)[0]

    def settle(self, part: Sequence[int], written: Written, outcome: Outcome) -> None:
        """Put down what became of a part, or divide it once more."""
        device_id, site = self._placed[part[-1]].device_id, self._site(part[-1])
        complaint = written.rejected.get(device_id)
        if complaint is not None and complaint[0] == "site_id" and site not in self._good:
            self._refused[site] = complaint
        elif complaint is not None and len(part) > 1:
            self._singly = True
            self._left.extendleft(reversed(part))
            return
        elif complaint is None and device_id not in written.failed:
            self._good.add(site)
        apply(written, outcome, part)

    def _belongs(self, place: int, part: Sequence[int]) -> bool:
        if self._singly:
            return False
        site, last = self._site(place), self._site(part[-1])
        return site == last or {site, last} <= self._good

    def _site(self, place: int) -> str:
        return self._placed[place].site_id


def apply(written: Written, outcome: Outcome, places: Iterable[int]) -> None:
    """Put down what became of the heartbeats in these places."""
    outcome.failure = outcome.failure or written.failure
    for place in places:
        device_id = outcome.device_ids[place]
        if device_id in written.outdated:
            outcome.verdicts[place] = Verdict.OUTDATED
        elif device_id is not None and device_id in written.rejected:
            _reject(place, device_id, written.rejected[device_id], outcome)
        elif device_id in written.failed:
            outcome.verdicts[place] = Verdict.FAILED


def _reject(place: int, device_id: str, complaint: tuple[str, str], outcome: Outcome) -> None:
    outcome.verdicts[place] = Verdict.REJECTED
    outcome.rejected.append(Complaint(place, device_id, *complaint))
