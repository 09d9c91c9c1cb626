"""How heartbeats end: one verdict each, gathered in the outcome of an event."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from hvac_heartbeat.errors import StoreUnavailable

COMPLAINT_LIMIT = 1_000  # what an answer shows of each list


class Verdict(IntEnum):
    """How a heartbeat ended; of a record with several heartbeats the highest counts."""

    UPDATED = 0
    OUTDATED = 1
    REJECTED = 2
    FAILED = 3


class Complaint(msgspec.Struct, frozen=True):
    """One field that could not be taken, and why. `index` counts the heartbeats of the event from 0."""

    field: str
    reason: str
    index: int = -1
    device_id: object = None

    def about(self, index: int, device_id: object) -> Complaint:
        return Complaint(self.field, self.reason, index, device_id)


class Complaints(msgspec.Struct):
    """The complaints of an event: all are counted, and the first 1,000 are kept."""

    count: int = 0
    first: list[Complaint] = msgspec.field(default_factory=list)

    def add(self, complaint: Complaint) -> None:
        self.count += 1
        if self.count <= COMPLAINT_LIMIT:
            self.first.append(complaint)

    def merge(self, others: Iterable[Complaint]) -> None:
        """Add complaints that were found later, and put those that are kept in the order of the event."""
        for complaint in others:
            self.count += 1
            self.first.append(complaint)
        self.first.sort(key=lambda complaint: complaint.index)
        del self.first[COMPLAINT_LIMIT:]


class BatchResult(msgspec.Struct, frozen=True):
    """What one statement did: a device that is in neither of the two was updated."""

    outdated: frozenset[str] = frozenset()
    rejected: dict[str, Complaint] = msgspec.field(default_factory=dict)


class Outcome(msgspec.Struct):
    """What became of every heartbeat of an event, in the order of the event.

    `owners` says for each heartbeat which record it came in; `device_ids` has None where none could be read.
    """

    record_ids: list[str] = msgspec.field(default_factory=list)
    owners: list[int] = msgspec.field(default_factory=list)
    device_ids: list[str | None] = msgspec.field(default_factory=list)
    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    rejected: Complaints = msgspec.field(default_factory=Complaints)
    ignored: Complaints = msgspec.field(default_factory=Complaints)
    mismatched: int = 0
    failure: StoreUnavailable | None = None
    ledger: str | None = None  # why late heartbeats are not noted

    def record_verdicts(self) -> list[Verdict]:
        """Return one verdict a record: the worst of its heartbeats."""
        worst = [Verdict.UPDATED] * len(self.record_ids)
        for owner, verdict in zip(self.owners, self.verdicts, strict=True):
            worst[owner] = max(worst[owner], verdict)
        return worst
