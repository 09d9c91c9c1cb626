"""Heartbeats to the store, and the store's word on each of them into the outcome."""

from __future__ import annotations

from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.heartbeat import Complaint, arrival_order, merge
from hvac_heartbeat.verdicts import Verdict, Written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hvac_heartbeat.heartbeat import Heartbeat
    from hvac_heartbeat.verdicts import Outcome

CHUNK = 10_000


class Store(Protocol):
    """Keeps the newest heartbeat of every device."""

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        """Write up to 10,000 heartbeats of different devices, ordered by device id, before `deadline`.

        `deadline` is in seconds of `time.monotonic`. `Written.rejected` gives field and reason.

        Raises:
            StoreUnavailable: when none of them could be written and all are worth a retry.
        """
        ...


def write(heartbeats: Sequence[Heartbeat], outcome: Outcome, store: Store, deadline: float) -> None:
    """Write an event's heartbeats, in its order, and put down in `outcome` what became of each."""
    again = _write_merged(heartbeats, None, outcome, store, deadline)
    while again:
        again = _write_merged(list(again.values()), again, outcome, store, deadline)
    if outcome.rejected:
        outcome.rejected.sort(key=attrgetter("index"))


def _write_merged(
    heartbeats: Sequence[Heartbeat],
    placed: Mapping[int, Heartbeat] | None,
    outcome: Outcome,
    store: Store,
    deadline: float,
) -> dict[int, Heartbeat]:
    """Write one heartbeat a device; return those, by place, that are worth another try without others of theirs."""
    again: dict[int, Heartbeat] = {}
    merged = merge(heartbeats)
    for start in range(0, len(merged), CHUNK):
        written = _write_batch(merged[start : start + CHUNK], store, deadline)
        if written.outdated or written.rejected or written.failed:
            # By place in the event; a heartbeat that was rejected before is not among them.
            placed = placed or dict(zip(_places(outcome), heartbeats, strict=True))
            divided = _divided(written, placed)
            told = [place for place, heartbeat in placed.items() if heartbeat.device_id not in divided]
            _apply(written, outcome, told)
            again |= _without_the_refused_site(placed, divided, written, outcome)
            _write_one_by_one(placed, divided, outcome, store, deadline)
    return again


def _write_batch(heartbeats: Sequence[Heartbeat], store: Store, deadline: float) -> Written:
    try:
        return store.write(heartbeats, deadline)
    except StoreUnavailable as failure:
        return Written(failed=frozenset(heartbeat.device_id for heartbeat in heartbeats), failure=failure)


def _places(outcome: Outcome) -> list[int]:
    return [place for place, device_id in enumerate(outcome.device_ids) if device_id is not None]


def _divided(written: Written, placed: Mapping[int, Heartbeat]) -> dict[str, list[int]]:
    """Return the places of the heartbeats that were refused as one, although each for itself might not be.

    Where it is the device itself that is refused, all of them would be.
    """
    suspects: dict[str, list[int]] = {
        device_id: [] for device_id, (field, _) in written.rejected.items() if field != "device_id"
    }
    for place, heartbeat in placed.items() if suspects else ():
        if heartbeat.device_id in suspects:
            suspects[heartbeat.device_id].append(place)
    return {device_id: places for device_id, places in suspects.items() if len(places) > 1}


def _without_the_refused_site(
    placed: Mapping[int, Heartbeat], divided: dict[str, list[int]], written: Written, outcome: Outcome
) -> dict[int, Heartbeat]:
    """Reject the heartbeats at a site that is refused, which takes their device out of `divided`; return its others.

    A statement a heartbeat would let one record with thousands of them hold up its shard.
    """
    again: dict[int, Heartbeat] = {}
    for device_id in [found for found in divided if written.rejected[found][0] == "site_id"]:
        places = sorted(divided.pop(device_id), key=lambda place: arrival_order(placed[place]))
        refused = placed[places[-1]].site_id  # the newest one's is what was written
        _apply(written, outcome, [place for place in places if placed[place].site_id == refused])
        again |= {place: placed[place] for place in sorted(places) if placed[place].site_id != refused}
    return again


def _write_one_by_one(
    placed: Mapping[int, Heartbeat],
    divided: Mapping[str, Sequence[int]],
    outcome: Outcome,
    store: Store,
    deadline: float,
) -> None:
    """Write the oldest heartbeat of each of these devices, then the next, so that the good ones are not lost."""
    in_order = [
        sorted(divided[device_id], key=lambda place: arrival_order(placed[place])) for device_id in sorted(divided)
    ]
    for turn in zip_longest(*in_order):
        places = [place for place in turn if place is not None]
        _apply(_write_batch([placed[place] for place in places], store, deadline), outcome, places)


def _apply(written: Written, outcome: Outcome, places: Iterable[int]) -> None:
    outcome.failure = outcome.failure or written.failure
    for place in places:
        device_id = outcome.device_ids[place]
        if device_id in written.outdated:
            outcome.verdicts[place] = Verdict.OUTDATED
        elif device_id is not None and device_id in written.rejected:
            outcome.verdicts[place] = Verdict.REJECTED
            outcome.rejected.append(Complaint(place, device_id, *written.rejected[device_id]))
        elif device_id in written.failed:
            outcome.verdicts[place] = Verdict.FAILED
