"""Events with more heartbeats than a statement takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.trigger_samples import ONE, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function


@pytest.mark.parametrize("name", ["sqs", "kinesis", "kafka-msk", "sns", "eventbridge"])
def test_a_record_of_more_than_10_000_heartbeats_is_rejected_as_one(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    too_many = [{"device_id": str(number), "site_id": "s"} for number in range(10_001)]
    in_one_record = name in ("sns", "eventbridge")
    function(SAMPLES[name].event(too_many if in_one_record else [{"devices": too_many}, ONE]))
    rejection, invocation = function.log()
    assert rejection["reason"] == "holds 10001 heartbeats, at most 10000 are taken: send smaller ones"
    assert invocation["rejected"] == 1
    assert list(seen()) == ([] if in_one_record else ["hvac-001"])


def test_an_event_of_more_than_10_000_heartbeats_is_written_in_parts(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    records = [
        {"devices": [{"device_id": f"{record}-{number}", "site_id": "s"} for number in range(5_000)]}
        for record in range(3)
    ]
    assert function(SAMPLES["sqs"].event(records)) == {"batchItemFailures": []}
    assert len(seen()) == 15_000
