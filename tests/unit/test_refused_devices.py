"""What becomes of devices that the store has refused, with a table in memory and a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat import refused, writing
from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.writing import Writer, WriteResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOREIGN_KEY = Complaint("heartbeat", "violates the database's constraint known")
TOO_LONG = Complaint("heartbeat", "is refused by the database (SQLSTATE 22001)")


class Table:
    """Refuses rows by a rule, and takes so many seconds for a statement."""

    def __init__(self, refuse: Callable[[Heartbeat], Complaint | None], seconds: float = 0.0) -> None:
        self.refuse = refuse
        self.seconds = seconds
        self.now = 1_000.0
        self.statements = 0
        self.rows: dict[str, Heartbeat] = {}

    def monotonic(self) -> float:
        return self.now

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        if self.now >= deadline:
            raise StoreUnavailable("no time was left")
        self.statements += 1
        self.now += self.seconds
        for heartbeat in heartbeats:
            complaint = self.refuse(heartbeat)
            if complaint is not None:
                raise BatchRefused(complaint)
        self.rows.update((heartbeat.device_id, heartbeat) for heartbeat in heartbeats)
        return BatchResult()

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        return None


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table]:
    def make(refuse: Callable[[Heartbeat], Complaint | None], seconds: float = 0.0) -> Table:
        made = Table(refuse, seconds)
        monkeypatch.setattr(writing, "time", made)
        monkeypatch.setattr(refused, "time", made)
        return made

    return make


def beat(device: str, site: str = "s", second: float = 0, **said: Any) -> Heartbeat:
    return Heartbeat(device, site, NOW + timedelta(seconds=second), **said)


def write(writer: Writer, table: Table, heartbeats: Sequence[Heartbeat], seconds: float = 26) -> WriteResult:
    return writer.write(heartbeats, table.now + seconds)


def test_a_refusal_at_another_site_hides_no_metric_that_is_refused(table: Callable[..., Table]) -> None:
    """22001 is the same for a site and for a version; the heartbeat is taken without the version all the same."""
    store = table(lambda h: TOO_LONG if len(h.site_id) > 5 or len(h.agent_version or "") > 5 else None)
    writer = Writer(store)
    assert write(writer, store, [beat("d", "much too long")]).rejected
    result = write(writer, store, [beat("d", "good", 60, agent_version="1.2.3-long")])
    assert (result.rejected, len(result.ignored)) == ({}, 1)
    assert store.rows["d"].received_at == NOW + timedelta(seconds=60)


def test_out_of_time_no_device_is_rejected_for_a_site_that_it_does_not_name(table: Callable[..., Table]) -> None:
    store = table(lambda h: FOREIGN_KEY if h.site_id == "bad" else None, seconds=1)
    writer = Writer(store)
    write(writer, store, [beat(device, "bad") for device in "abc"])
    result = write(writer, store, [beat("a", "bad"), beat("b", "bad"), beat("c", "good", 5)], seconds=1)
    assert set(result.rejected) == {("a", "bad"), ("b", "bad")}
    assert result.failed == {"c"}


def test_a_step_that_fails_takes_the_later_steps_of_its_device_with_it(table: Callable[..., Table]) -> None:
    """Else the retry would find the older one outdated, and what it says would be lost."""
    store = table(lambda _: None)
    take, calls = store.write, []

    def fail_first(heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        calls.append(heartbeats)
        if len(calls) == 1:
            raise StoreUnavailable("passes")
        return take(heartbeats, deadline)

    store.write = fail_first  # type: ignore[method-assign]
    result = write(Writer(store), store, [beat("d", cpu_pct=5.0), beat("d", second=1)])
    assert (result.failed, store.rows) == ({"d"}, {})


@pytest.mark.parametrize(("strangers", "most"), [(50, 1_100), (63, 1_300), (100, 1_900)])
def test_strangers_spread_over_a_batch_cost_a_few_statements_each(
    table: Callable[..., Table], strangers: int, most: int
) -> None:
    every = 10_000 // strangers
    store = table(lambda h: FOREIGN_KEY if int(h.device_id) % every == every - 1 else None)
    write(Writer(store), store, [beat(f"{number:05}") for number in range(10_000)])
    assert store.statements < most


def test_on_a_slow_database_a_retry_gets_further_until_nothing_fails(table: Callable[..., Table]) -> None:
    store = table(lambda h: FOREIGN_KEY if int(h.device_id) % 100 == 99 else None, seconds=0.15)
    writer, event = Writer(store), [beat(f"{number:05}") for number in range(10_000)]
    for _ in range(20):
        if not write(writer, store, event).failed:
            break
    assert len(store.rows) == 9_900
    assert not write(writer, store, event).failed


@pytest.mark.parametrize("times", [1, 3])
def test_refused_fields_of_a_whole_fleet_cost_some_statements_and_no_retry(
    table: Callable[..., Table], times: int
) -> None:
    store = table(lambda h: TOO_LONG if h.agent_version else None, seconds=0.004)
    event = [beat(f"{n % 10_000:05}", second=n // 10_000, agent_version="x") for n in range(10_000 * times)]
    writer = Writer(store)
    tries = next(count for count in range(1, 20) if not write(writer, store, event).failed)
    assert tries < 6
    store.statements = 0
    result = write(writer, store, event)
    assert (result.failed, result.rejected, len(result.ignored)) == (set(), {}, 10_000)
    assert store.statements < 70
    store.refuse = lambda _: None
    assert next(count for count in range(1, 5) if write(writer, store, event) == WriteResult()) < 4
    assert all(row.agent_version for row in store.rows.values())


def test_a_site_that_refuses_an_old_heartbeat_may_take_the_newest(table: Callable[..., Table]) -> None:
    store = table(lambda h: FOREIGN_KEY if h.received_at is not None and h.received_at < NOW else None)
    result = write(Writer(store), store, [beat("d", second=-9, cpu_pct=1.0), beat("d")])
    assert (result.rejected, store.rows["d"].received_at) == ({}, NOW)


def test_a_device_that_is_good_and_refused_by_turns_stays_apart(table: Callable[..., Table]) -> None:
    store = table(lambda h: FOREIGN_KEY if h.site_id == "bad" else None)
    writer = Writer(store)
    event = [beat("d", "bad"), beat("d", "good", 1), *(beat(f"{number}") for number in range(100))]
    for _ in range(2):
        store.statements = 0
        assert set(write(writer, store, event).rejected) == {("d", "bad")}
    assert store.statements == 3
