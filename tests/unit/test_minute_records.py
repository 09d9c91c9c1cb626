"""When a record of a minute is written, and what is written at once."""

from __future__ import annotations

import signal
from threading import Thread

import pytest

from hvac_heartbeat.aws.invocation_log import SLOW_MS
from hvac_heartbeat.aws.triggers.base import Direct, Trigger
from hvac_heartbeat.aws.triggers.batches import Sqs
from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.outcome import Verdict
from tests.unit.minute_log import Clock, add, said, trigger, trouble, warm


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
