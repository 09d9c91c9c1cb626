"""Which heartbeats a writer gives to the ledger, with a table in memory."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.ingest import ingest
from hvac_heartbeat.outcome import BatchResult, Complaint, Verdict
from hvac_heartbeat.reading import Record
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Table:
    """Knows what is newest of each device, refuses the site "bad", fails for "away" and keeps what was late."""

    def __init__(self, *, ledger: str | StoreUnavailable | None = None) -> None:
        self.ledger = ledger
        self.seen = {"known": NOW}
        self.late: list[tuple[str, datetime | None]] = []
        self.calls = 0

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        if any(heartbeat.site_id == "bad" for heartbeat in heartbeats):
            raise BatchRefused(Complaint("heartbeat", "violates x"))
        if any(heartbeat.site_id == "away" for heartbeat in heartbeats):
            raise StoreUnavailable
        outdated = set()
        for heartbeat in heartbeats:
            seen_at = heartbeat.received_at or NOW + timedelta(days=1)
            if seen_at < self.seen.get(heartbeat.device_id, seen_at):
                outdated.add(heartbeat.device_id)
            else:
                self.seen[heartbeat.device_id] = seen_at
        return BatchResult(frozenset(outdated))

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        self.calls += 1
        self.late += [(heartbeat.device_id, heartbeat.received_at) for heartbeat in heartbeats]
        if isinstance(self.ledger, StoreUnavailable):
            raise self.ledger
        return self.ledger


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def beat(device: str, second: float | None, site: str = "s", **said: Any) -> Heartbeat:
    return Heartbeat(device, site, None if second is None else at(second), **said)


def late(*heartbeats: Heartbeat) -> list[tuple[str, datetime | None]]:
    table = Table()
    Writer(table).write(heartbeats, time.monotonic() + 60)
    assert table.calls == bool(table.late)
    return sorted(table.late, key=str)


@pytest.mark.parametrize(
    "event",
    [
        [beat("known", 1)],
        [beat("known", None)],
        [beat("new", -5)],
        [beat("known", 5)] * 3,
        [beat("known", None)] * 3,
        [beat("a", 1), beat("b", 2)],
    ],
)
def test_what_comes_in_order_is_not_late(event: list[Heartbeat]) -> None:
    assert late(*event) == []


def test_what_is_outdated_is_late_and_so_is_what_a_newer_one_of_the_event_takes_in() -> None:
    assert late(beat("known", -1), beat("new", 9)) == [("known", at(-1))]
    assert late(beat("new", 9), beat("new", 2), beat("new", 5)) == [("new", at(2)), ("new", at(5))]
    assert late(beat("known", -9), beat("known", -5)) == [("known", at(-9)), ("known", at(-5))]
    assert late(beat("new", 9), beat("new", None)) == [("new", at(9))]
    assert ("known", at(-5)) in late(beat("known", -5, status="ready"), beat("known", 5))  # a step that was outdated


def test_what_was_rejected_or_has_failed_is_not_late() -> None:
    assert late(beat("known", -5, "bad"), beat("known", -9)) == [("known", at(-9))]
    assert late(beat("new", 3, "away"), beat("new", 2, "away")) == []


def run(table: Table, *bodies: dict[str, Any]) -> Any:
    record = Record("event", list(bodies), own_clock=True)
    return ingest([record], Writer(table), time.monotonic() + 60)


OUTDATED = {"device_id": "known", "site_id": "s", "received_at": at(-1).isoformat()}
OTHER = {"device_id": "other", "site_id": "s"}


def test_what_the_ledger_may_take_at_another_time_has_failed_and_nothing_else_has() -> None:
    away = StoreUnavailable("away")
    outcome = run(Table(ledger=away), OUTDATED, OTHER)
    assert outcome.verdicts == [Verdict.FAILED, Verdict.UPDATED]
    assert (outcome.failure, outcome.ledger) == (away, None)


@pytest.mark.parametrize(
    ("bodies", "verdict"), [([OUTDATED], Verdict.OUTDATED), ([OTHER, OTHER | OUTDATED], Verdict.UPDATED)]
)
def test_a_ledger_that_will_not_take_it_is_a_word_in_the_log(bodies: list[dict[str, Any]], verdict: Verdict) -> None:
    bodies = [body | {"device_id": bodies[0]["device_id"]} for body in bodies]
    outcome = run(Table(ledger="no right"), *bodies)
    assert (set(outcome.verdicts), outcome.failure, outcome.ledger) == ({verdict}, None, "no right")
