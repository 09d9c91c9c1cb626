"""events/ holds one sample a trigger; each is recognised as what it is and taken whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws.triggers import TRIGGERS, recognise
from tests.triggers.trigger_samples import EVENTS, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function

TRIGGER_OF = {
    "single": "direct",
    "batch": "direct",
    "iot": "direct",
    "function-url": "http-api",
    "load-balancer-multi-value": "load-balancer",
    "sqs-envelopes": "sqs",
    "kafka-msk": "kafka",
    "kafka-self-managed": "kafka",
    "scheduler": "schedule",
}
SAMPLES = sorted(file.stem for file in EVENTS.glob("*.json"))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_recognised_and_every_heartbeat_in_it_is_written(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    event = sample(name)
    trigger = TRIGGER_OF.get(name, name)
    assert recognise(event).name == trigger
    answer = function(event)
    assert answer.get("statusCode", 200) == 200
    assert answer.get("batchItemFailures", []) == []
    (line,) = function.log()
    assert (line["trigger"], line["rejected"], line["failed"], line["ignored_fields"]) == (trigger, 0, 0, 0)
    assert line["updated"] == len(seen()) or trigger == "schedule"


def test_there_is_a_sample_for_every_trigger() -> None:
    sampled = {recognise(sample(name)).name for name in SAMPLES}
    assert sampled == {trigger.name for trigger in TRIGGERS} - {"unknown"}
