"""How heartbeats end: one verdict each, gathered in the outcome of an event."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hvac_heartbeat.errors import StoreUnavailable
    from hvac_heartbeat.heartbeat import Complaint
    from hvac_heartbeat.records import Record


class Verdict(IntEnum):
    """How a heartbeat ended; of a record with several heartbeats the highest counts."""

    UPDATED = 0
    OUTDATED = 1
    REJECTED = 2
    FAILED = 3


class Written(msgspec.Struct, frozen=True):
    """The store's word on one batch, by device; a device in none of the three was updated."""

    outdated: frozenset[str] = frozenset()
    rejected: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    failure: StoreUnavailable | None = None


class Outcome(msgspec.Struct):
    """What became of every heartbeat of an event, in the order of the event."""

    records: Sequence[Record]
    owners: list[int] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    device_ids: list[str | None] = msgspec.field(default_factory=list)
    rejected: list[Complaint] = msgspec.field(default_factory=list)
    ignored: list[Complaint] = msgspec.field(default_factory=list)
    mismatched: int = 0
    failure: StoreUnavailable | None = None

    def devices(self, verdict: Verdict) -> list[str]:
        """Return the devices with this verdict, each once, in order of appearance."""
        count = self.count(verdict)
        if not count:
            return []
        if count == len(self.verdicts) and None not in (found := dict.fromkeys(self.device_ids)):
            return list(found)  # type: ignore[arg-type]
        pairs = zip(self.device_ids, self.verdicts, strict=True)
        return list(dict.fromkeys([device for device, found in pairs if device is not None and found is verdict]))

    def count(self, verdict: Verdict) -> int:
        """Return how many heartbeats ended with this verdict."""
        return self.verdicts.count(verdict)

    def record_verdicts(self) -> list[Verdict]:
        """Return one verdict a record: the worst of its heartbeats."""
        worst = [Verdict.UPDATED] * len(self.records)
        for owner, verdict in zip(self.owners, self.verdicts, strict=True):
            worst[owner] = max(worst[owner], verdict)
        return worst
