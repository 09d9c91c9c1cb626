"""The metrics of a minute's records are those that a line for each invocation would have said."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.invocation_log import SLOW_MS, InvocationLog
from hvac_heartbeat.aws.triggers.base import Direct, Trigger
from hvac_heartbeat.aws.triggers.batches import Sqs
from hvac_heartbeat.aws.triggers.http_gateways import HttpApi
from hvac_heartbeat.outcome import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
from tests.unit.minute_log import START, Clock, add, said, trigger

CONTAINERS = 20
INVOCATIONS = 500  # of each

Metrics = tuple[Counter[tuple[str, ...]], dict[tuple[str, ...], list[float]]]


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
