"""The metrics of a minute's records are those that a line for each invocation would have said."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter, defaultdict
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import invocation_log
from hvac_heartbeat.aws.invocation_log import SLOW_MS, InvocationLog
from hvac_heartbeat.aws.triggers.base import Direct, Trigger
from hvac_heartbeat.aws.triggers.batches import Sqs
from hvac_heartbeat.aws.triggers.http_gateways import HttpApi
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.outcome import Complaint, Complaints, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTAINERS = 20
INVOCATIONS = 500  # of each
TENTH = 0.1
CONTEXT = SimpleNamespace(function_name="hvac-heartbeat-updater", aws_request_id="11111111-2222-3333-4444-555555555555")
START = 1_790_000_000.0

Metrics = tuple[Counter[tuple[str, ...]], dict[tuple[str, ...], list[float]]]


class Clock:
    """The time that a log looks at."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(invocation_log, "time", clock)
    before = signal.getsignal(signal.SIGTERM)
    yield clock
    signal.signal(signal.SIGTERM, before)


def trigger(
    kind: Callable[[Any], Trigger] = Direct, verdicts: tuple[Verdict, ...] = (Verdict.UPDATED,), ignored: int = 0
) -> Trigger:
    """Return an event of a trigger with what became of it."""
    found = kind({})
    rejected = [
        Complaint("site_id", "is missing", index) for index, one in enumerate(verdicts) if one is Verdict.REJECTED
    ]
    found.outcome = Outcome(
        record_ids=["event"],
        owners=[0] * len(verdicts),
        device_ids=["d"] * len(verdicts),
        verdicts=[*verdicts],
        rejected=Complaints(len(rejected), rejected),
        ignored=Complaints(ignored),
        failure=StoreUnavailable("away") if Verdict.FAILED in verdicts else None,
    )
    return found


def trouble(**outcome: Any) -> Trigger:
    """Return an event whose heartbeats, if it had any, went well."""
    found = trigger(verdicts=())
    found.outcome = Outcome(**outcome)
    return found


def add(log: InvocationLog, found: Trigger, total_ms: float = 2.0, *, each: bool = False) -> None:
    log.add(found, CONTEXT, refused=None, each=each, database_ms=total_ms / 2, total_ms=total_ms)


def warm(clock: Clock) -> InvocationLog:
    """Return the log of a container that has just logged its cold start."""
    log = InvocationLog()
    add(log, trigger())
    clock.now += TENTH
    return log


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def metrics(lines: list[dict[str, Any]]) -> Metrics:
    """Return what CloudWatch has after these lines, by minute, trigger and metric: the sums and every time."""
    sums: Counter[tuple[str, ...]] = Counter()
    times: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for line in lines:
        if "_aws" not in line:
            continue
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]:
            key = (str(line["_aws"]["Timestamp"] // 60_000), line["trigger"], metric["Name"])
            values = line[metric["Name"]] if isinstance(line[metric["Name"]], list) else [line[metric["Name"]]]
            assert len(values) <= 100, 'the most that a metric may have ("Specification: Embedded metric format")'
            if metric["Unit"] == "Count":
                sums[key] += sum(values)
            else:
                times[key] += values
    return sums, {key: sorted(values) for key, values in times.items()}


def fleet_of_containers(seed: int) -> Iterator[list[tuple[float, Trigger, float]]]:
    """Give the invocations of each container: when, of what trigger with what outcome, and how long."""
    chance = random.Random(seed)  # noqa: S311 - what happens
    for _ in range(CONTAINERS):
        pause = chance.choice([0.05, 1.0, 20.0, 90.0])
        now = START + chance.uniform(0, 60)
        invocations = []
        for _ in range(INVOCATIONS):
            now += chance.expovariate(1 / pause)
            kind = chance.choice([Direct, HttpApi, Sqs])
            verdicts = chance.choices([*Verdict], [95, 3, 1, 1], k=chance.choice([1, 1, 1, 10]))
            ignored = chance.choices([0, 1], [95, 5])[0]
            total_ms = chance.choices([chance.expovariate(1 / 20), SLOW_MS + 1], [99, 1])[0]
            invocations.append((now, trigger(kind, tuple(verdicts), ignored), total_ms))
        yield invocations


def test_what_ten_thousand_invocations_of_twenty_containers_said_adds_up(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the same sums and the same times, in the same minute of the same trigger, as with a line for each."""
    heard: dict[bool, list[dict[str, Any]]] = {}
    for each in (True, False):
        for invocations in fleet_of_containers(seed=15):
            log = InvocationLog()
            for clock.now, found, total_ms in invocations:
                add(log, found, total_ms, each=each)
            log.flush()
        heard[each] = said(capsys)
    assert metrics(heard[False]) == metrics(heard[True])
    assert sum(len(line["total_ms"]) for line in heard[False] if line["message"] == "invocations") > 6_000


def test_a_container_that_is_killed_takes_a_minute_of_clean_counts_with_it_and_nothing_else(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for invocations in fleet_of_containers(seed=16):
        log = InvocationLog()
        for clock.now, found, total_ms in invocations:
            add(log, found, total_ms)
        heard, _ = metrics(said(capsys))
        log.flush()
        lost = {key: count for key, count in metrics(said(capsys))[0].items() if count}
        assert {minute for minute, _, _ in lost} <= {str(int(clock.now // 60))}
        assert {name for _, _, name in lost} <= {"updated", "outdated"}
        for name, verdict in (("rejected", Verdict.REJECTED), ("failed", Verdict.FAILED)):
            happened = sum(found.outcome.verdicts.count(verdict) for _, found, _ in invocations)
            assert sum(count for (_, _, metric), count in heard.items() if metric == name) == happened


def test_a_clean_invocation_writes_nothing_and_its_minute_writes_one_record(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = warm(clock)
    said(capsys)
    minute = clock.now // 60
    while clock.now // 60 == minute:
        add(log, trigger(verdicts=(Verdict.UPDATED, Verdict.OUTDATED)), 2.3456)
        clock.now += 1.0
    assert said(capsys) == []
    add(log, trigger())
    (record,) = said(capsys)
    invocations = len(record["total_ms"])
    assert 30 < invocations <= 60
    assert record["_aws"]["Timestamp"] == minute * 60_000
    assert record["message"] == "invocations"
    assert (record["updated"], record["outdated"]) == (invocations, invocations)
    assert (record["rejected"], record["failed"], record["ignored_fields"]) == (0, 0, 0)
    assert record["total_ms"] == [2.346] * invocations
    assert record["database_ms"] == [1.173] * invocations
    assert (record["function_name"], record["trigger"]) == ("hvac-heartbeat-updater", "direct")


def test_a_record_has_a_hundred_invocations_at_most(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    log = warm(clock)
    for _ in range(99):
        add(log, trigger())
    assert len(said(capsys)) == 1  # the cold start
    add(log, trigger())
    (record,) = said(capsys)
    assert record["updated"] == 100


def test_each_trigger_of_a_minute_has_a_record(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    log = warm(clock)
    for kind in (Direct, Sqs, Direct):
        add(log, trigger(kind))
    said(capsys)
    log.flush()
    assert {line["trigger"]: line["updated"] for line in said(capsys)} == {Direct.name: 2, Sqs.name: 1}
    log.flush()
    assert said(capsys) == []


NOTABLE = {
    "rejected": (trigger(verdicts=(Verdict.UPDATED, Verdict.REJECTED)), 2.0),
    "failed": (trigger(verdicts=(Verdict.FAILED,)), 2.0),
    "ignored": (trigger(ignored=1), 2.0),
    "slow": (trigger(), SLOW_MS + 1),
    "a health check that failed": (trouble(failure=StoreUnavailable("away")), 2.0),
    "a ledger that takes nothing": (trouble(ledger="permission denied"), 2.0),
}


@pytest.mark.parametrize(("found", "total_ms"), NOTABLE.values(), ids=NOTABLE)
def test_what_did_not_go_well_is_written_at_once_and_holds_nothing_back(
    found: Trigger, total_ms: float, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = warm(clock)
    add(log, trigger())
    said(capsys)
    add(log, found, total_ms)
    *_, line = said(capsys)
    assert (line["message"], line["total_ms"], line["cold_start"]) == ("invocation", total_ms, False)
    log.flush()
    (record,) = said(capsys)
    assert record["updated"] == 1


def test_a_container_that_is_called_every_other_minute_writes_each_at_once(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alarm on silence would have to wait for the next one otherwise."""
    log = warm(clock)
    for _ in range(5):
        said(capsys)
        clock.now += 120
        add(log, trigger())
        (line,) = said(capsys)
        assert line["_aws"]["Timestamp"] == int(clock.now * 1000)


def test_a_clock_that_is_set_back_puts_nothing_into_the_wrong_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = warm(clock)
    add(log, trigger())
    said(capsys)
    before = int(clock.now // 60)
    clock.now -= 3600
    add(log, trigger())
    log.flush()
    assert [line["_aws"]["Timestamp"] // 60_000 for line in said(capsys)] == [before, before - 60]


def test_sigterm_writes_what_is_held_once_and_goes_on_to_who_waited_for_it_before(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    log = warm(clock)
    add(log, trigger())
    add(log, trigger())
    said(capsys)
    signal.raise_signal(signal.SIGTERM)
    (record,) = said(capsys)
    assert record["updated"] == 2
    signal.raise_signal(signal.SIGTERM)
    assert said(capsys) == []
    assert heard == [signal.SIGTERM] * 2


def test_in_another_thread_sigterm_is_left_to_who_has_it(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """As in `serve`: Python lets nobody but the main thread take a signal."""
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        log = warm(clock)
        add(log, trigger())
        log.flush()

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert [line["message"] for line in said(capsys)] == ["invocation", "invocations"]
