"""Kinesis and Kafka: a rejected record is logged by its name and passed, a failed one brings the batch back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.triggers.conftest import Context, Function

# What the log calls the second record of an event.
SECOND = {
    "kinesis": "shardId-000000000006:1",
    "kafka-msk": "heartbeats-0@16",
    "kafka-self-managed": "heartbeats-0@16",
}
on_every_stream = pytest.mark.parametrize("name", SECOND)
# By name: the records, how they ended, why the second one was rejected, which devices were written.
CASES: dict[str, tuple[list[object], dict[str, int], str, set[str]]] = {
    "all well": ([ONE, TWO], {"updated": 2}, "", {"hvac-001", "hvac-002"}),
    "one outdated": ([ONE, OUTDATED], {"updated": 1, "outdated": 1}, "", {"hvac-001"}),
    "one ignored field": ([ONE, ODD], {"updated": 2, "ignored_fields": 1}, "", {"hvac-001", "hvac-003"}),
    "one rejected": ([ONE, NAMELESS, TWO], {"updated": 2}, "device_id is missing", {"hvac-001", "hvac-002"}),
    "one that is no JSON": ([ONE, "{id: 2}"], {"updated": 1}, "body is not JSON: see line 1, column 2", {"hvac-001"}),
}


@on_every_stream
@pytest.mark.parametrize("case", CASES)
def test_the_exact_answer(
    name: str, case: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    records, counts, reason, written = CASES[case]
    assert function(SAMPLES[name].event(records)) == {"batchItemFailures": []}
    assert function.verdicts() == counts | ({"rejected": [f"{SECOND[name]}: {reason}"]} if reason else {})
    assert seen() == dict.fromkeys(written, AT) | {"newer": newer}


@on_every_stream
def test_all_rejected_is_no_reason_to_hold_up_the_shard(name: str, function: Function) -> None:
    assert function(SAMPLES[name].event([NAMELESS, NAMELESS])) == {"batchItemFailures": []}


@on_every_stream
def test_the_batch_comes_again_when_anything_failed(
    name: str, function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    with pytest.raises(StoreUnavailable):
        function(SAMPLES[name].event([ONE, FAILING, TWO]))
    assert function.verdicts() == {"updated": 2, "failed": 1}
    assert seen() == {"hvac-001": AT, "hvac-002": AT}


@on_every_stream
def test_the_batch_comes_again_while_the_database_is_away(name: str, function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(SAMPLES[name].event([ONE, NAMELESS]), away)
    assert function.verdicts() == {"failed": 1, "rejected": [f"{SECOND[name]}: device_id is missing"]}


def test_a_malformed_kinesis_record_is_rejected_alone_under_the_best_name_it_has(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    event: dict[str, Any] = sample("kinesis")
    event["Records"][1]["kinesis"]["data"] = "?"
    event["Records"] += [{"kinesis": {"sequenceNumber": "49590338", "data": "e30="}}, {"kinesis": None}, 7]
    assert function(event) == {"batchItemFailures": []}
    assert function.verdicts() == {
        "updated": 1,
        "rejected": [
            "shardId-000000000006:49590338271490256608559692538361571095921575989136588899: body is not base64",
            "49590338: device_id is missing",
            "record 3: body is missing",
            "record 4: body is missing",
        ],
    }
    assert seen() == {"hvac-001": AT}


@pytest.mark.parametrize("name", ["kafka-msk", "kafka-self-managed"])
def test_a_malformed_kafka_record_is_rejected_alone(
    name: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    event = SAMPLES[name].event([ONE, TWO])
    event["records"]["heartbeats-0"][1]["value"] = None  # a tombstone
    event["records"] |= {"heartbeats-1": [{}, 7], "heartbeats-2": None}
    assert function(event) == {"batchItemFailures": []}
    assert function.verdicts() == {
        "updated": 1,
        "rejected": ["heartbeats-0@16: body is missing", *["None-None@None: body is missing"] * 3],
    }
    assert seen() == {"hvac-001": AT}


def test_the_records_of_every_partition_are_taken(function: Function, seen: Callable[[], dict[str, datetime]]) -> None:
    assert function(sample("kafka-msk")) == {"batchItemFailures": []}
    assert seen() == {"hvac-001": AT, "hvac-002": AT}
