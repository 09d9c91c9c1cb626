"""Heartbeats to the store, and the store's word on each of them into the outcome."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from hvac_heartbeat.divided import Divided, apply
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.heartbeat import merge
from hvac_heartbeat.verdicts import Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    merged = merge(heartbeats)
    for start in range(0, len(merged), CHUNK):
        written = _write_batch(merged[start : start + CHUNK], store, deadline)
        if written.outdated or written.rejected or written.failed:
            # By place in the event; a heartbeat that was rejected before is not among them.
            placed = dict(zip(_places(outcome), heartbeats, strict=True))
            divided = _divided(written, placed)
            of_others = [place for place, heartbeat in placed.items() if heartbeat.device_id not in divided]
            apply(written, outcome, of_others)
            _write_divided(list(divided.values()), outcome, store, deadline)
    if outcome.rejected:
        outcome.rejected.sort(key=attrgetter("index"))


def _write_batch(heartbeats: Sequence[Heartbeat], store: Store, deadline: float) -> Written:
    try:
        return store.write(heartbeats, deadline)
    except StoreUnavailable as failure:
        return Written(failed=frozenset(heartbeat.device_id for heartbeat in heartbeats), failure=failure)


def _places(outcome: Outcome) -> list[int]:
    return [place for place, device_id in enumerate(outcome.device_ids) if device_id is not None]


def _divided(written: Written, placed: Mapping[int, Heartbeat]) -> dict[str, Divided]:
    """Return the devices, in their order, whose heartbeats were refused as one and might not be for themselves.

    Where it is the device itself that is refused, all of them would be.
    """
    suspects: dict[str, dict[int, Heartbeat]] = {
        device_id: {} for device_id, (field, _) in sorted(written.rejected.items()) if field != "device_id"
    }
    for place, heartbeat in placed.items() if suspects else ():
        if heartbeat.device_id in suspects:
            suspects[heartbeat.device_id][place] = heartbeat
    return {
        device_id: Divided(heartbeats, written.rejected[device_id])
        for device_id, heartbeats in suspects.items()
        if len(heartbeats) > 1
    }


def _write_divided(divided: Sequence[Divided], outcome: Outcome, store: Store, deadline: float) -> None:
    """Write the oldest part of each of these devices, then the next, so that the good ones are not lost."""
    while parts := [(device, part) for device in divided if (part := device.next_part(outcome))]:
        written = _write_batch([device.merged(part) for device, part in parts], store, deadline)
        for device, part in parts:
            device.settle(part, written, outcome)
        divided = [device for device, _ in parts]
