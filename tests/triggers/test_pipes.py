"""EventBridge Pipes: a list of a source's records is answered as that source answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.triggers.trigger_samples import AT, FAILING, NAMELESS, ODD, ONE, OUTDATED, SAMPLES, TWO

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.triggers.conftest import Context, Function

ALL_DONE: dict[str, Any] = {"batchItemFailures": []}
# By pipe: the answer when the last of five records is rejected, and what the log calls that record.
PIPES: dict[str, tuple[dict[str, Any], str]] = {
    "pipes-sqs": ({"batchItemFailures": [{"itemIdentifier": "message-4"}]}, "message-4"),
    "pipes-kinesis": (ALL_DONE, "shardId-000000000006:4"),
    "pipes-kafka": (ALL_DONE, "heartbeats-0@19"),
}
through_every_pipe = pytest.mark.parametrize("name", PIPES)


@through_every_pipe
@pytest.mark.parametrize(
    ("bad", "reason"),
    [(NAMELESS, "device_id is missing"), ("{id: 2}", "body is not JSON: see line 1, column 2")],
    ids=["rejected", "no JSON"],
)
def test_the_exact_answer(
    name: str, bad: object, reason: str, function: Function, newer: datetime, seen: Callable[[], dict[str, datetime]]
) -> None:
    answer, record = PIPES[name]
    assert function(SAMPLES[name].event([ONE, TWO, OUTDATED, ODD])) == ALL_DONE
    assert function.verdicts() == {"updated": 3, "outdated": 1, "ignored_fields": 1}
    assert seen() == dict.fromkeys(("hvac-001", "hvac-002", "hvac-003"), AT) | {"newer": newer}
    assert function(SAMPLES[name].event([ONE, TWO, OUTDATED, ODD, bad])) == answer
    assert function.verdicts() == {
        "updated": 3,
        "outdated": 1,
        "ignored_fields": 1,
        "rejected": [f"{record}: {reason}"],
    }


@through_every_pipe
def test_what_failed_comes_again(
    name: str, function: Function, failing: None, seen: Callable[[], dict[str, datetime]]
) -> None:
    event = SAMPLES[name].event([ONE, FAILING])
    if name == "pipes-sqs":
        assert function(event) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    else:
        with pytest.raises(StoreUnavailable):
            function(event)
    assert seen() == {"hvac-001": AT}


@through_every_pipe
def test_everything_comes_again_while_the_database_is_away(name: str, function: Function, away: Context) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        function(SAMPLES[name].event([ONE, TWO]), away)
    assert function.verdicts() == {"failed": 2}


@pytest.mark.parametrize(
    ("name", "unnamed"),
    [("pipes-sqs", "record {}"), ("pipes-kinesis", "record {}"), ("pipes-kafka", "None-None@None")],
)
def test_a_malformed_record_is_rejected_alone(
    name: str, unnamed: str, function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    event = SAMPLES[name].event([ONE])
    assert function([*event, {"eventSource": "aws:s3"}, 7]) == ALL_DONE
    assert function.verdicts() == {
        "updated": 1,
        "rejected": [f"{unnamed.format(index)}: body is missing" for index in (1, 2)],
    }
    assert seen() == {"hvac-001": AT}


def test_a_pipe_reads_kafka_of_both_sources_and_values_that_it_has_decoded(
    function: Function, seen: Callable[[], dict[str, datetime]]
) -> None:
    event = SAMPLES["pipes-kafka"].event([ONE])
    assert function([event[0] | {"eventSource": "aws:kafka"}]) == ALL_DONE
    event = SAMPLES["pipes-sqs"].event([TWO])
    assert function([event[0] | {"body": TWO}]) == ALL_DONE
    assert seen() == {"hvac-001": AT, "hvac-002": AT}
