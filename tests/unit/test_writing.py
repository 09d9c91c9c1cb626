"""How many statements refused heartbeats take, with a store that counts them."""

from __future__ import annotations

import gc
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import refused
from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hvac_heartbeat.writing import WriteResult

COMPLAINT = Complaint("heartbeat", "violates x")
NOW = datetime.now(UTC)


class PickyStore:
    """Refuses a batch that holds anything bad, and keeps what it took."""

    def __init__(self, is_bad: Callable[[Heartbeat], bool], failure: StoreUnavailable | None = None) -> None:
        self.is_bad = is_bad
        self.failure = failure
        self.statements = 0
        self.taken: set[str] = set()
        self.late: list[Heartbeat] = []

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        self.statements += 1
        if any(map(self.is_bad, heartbeats)):
            raise BatchRefused(COMPLAINT, self.failure)
        self.taken.update(heartbeat.device_id for heartbeat in heartbeats)
        return BatchResult()

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        self.late += heartbeats
        return None


def fleet(count: int) -> list[Heartbeat]:
    return [Heartbeat(f"d{number:05}", "s", NOW) for number in range(count)]


def write(writer: Writer, heartbeats: Sequence[Heartbeat]) -> WriteResult:
    return writer.write(heartbeats, time.monotonic() + 60)


def test_ten_strangers_in_a_thousand_cost_ten_statements_more_from_the_second_batch_on() -> None:
    store = PickyStore(lambda heartbeat: heartbeat.device_id.endswith("07"))
    writer = Writer(store)
    write(writer, fleet(1_000))
    first, store.statements = store.statements, 0
    result = write(writer, fleet(1_000))
    assert (len(store.taken), len(result.rejected), store.statements) == (990, 10, 11)
    assert first < 250


def test_a_batch_full_of_strangers_costs_little_more_than_a_statement_each() -> None:
    """Halving down to each of them would cost as much again."""
    store = PickyStore(lambda heartbeat: not heartbeat.device_id.endswith("55"))
    result = write(Writer(store), fleet(10_000))
    assert (len(result.rejected), len(store.taken)) == (9_900, 100)
    assert store.statements < 10_200


def test_thousands_of_sites_of_one_device_take_few_statements_and_little_time() -> None:
    heartbeats = [Heartbeat("d", f"s{n}", NOW - timedelta(seconds=n)) for n in range(20_000)]
    store = PickyStore(lambda heartbeat: heartbeat.site_id != "good")
    began = time.process_time()
    result = write(Writer(store), heartbeats)
    assert time.process_time() - began < 2
    assert store.statements <= 6
    assert len(result.rejected) == 20_000


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_a_database_that_refuses_every_row_for_a_reason_that_may_pass_is_left_alone_soon(count: int) -> None:
    """A revoked right must not become thousands of statements with every event."""
    store = PickyStore(lambda _: True, StoreUnavailable("revoked"))
    result = write(Writer(store), fleet(count))
    assert (len(result.failed), result.rejected, str(result.failure)) == (count, {}, "revoked")
    assert store.statements <= 140


def test_what_is_remembered_of_refused_devices_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "_REMEMBERED", 100)
    writer = Writer(PickyStore(lambda _: True))
    write(writer, fleet(1_000))
    assert len(writer._refused.by_hash) == 100


def test_an_event_is_let_go_of_when_it_was_written_whatever_was_refused() -> None:
    """Without waiting for the garbage collector, and with nothing kept of a long name."""
    writer = Writer(PickyStore(lambda _: True))
    gc.disable()
    tracemalloc.start()
    try:
        write(writer, [Heartbeat(f"{n:06}" + "\U0001d518" * 250, "s", NOW, status="ready") for n in range(10_000)])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert taken < 5_000_000


def test_a_store_that_goes_away_among_refused_devices_costs_no_memory_of_them() -> None:
    store = PickyStore(lambda _: True)
    writer = Writer(store)
    write(writer, fleet(20))

    def away(heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        raise StoreUnavailable("away")

    take, store.write = store.write, away  # type: ignore[method-assign]
    assert len(write(writer, fleet(20)).failed) == 20
    store.write, store.statements = take, 0  # type: ignore[method-assign]
    write(writer, fleet(20))
    assert store.statements == 20
