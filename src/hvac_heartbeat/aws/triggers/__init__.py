"""The triggers, most specific first, and the one question that is put to them."""

from __future__ import annotations

from typing import Any

from hvac_heartbeat.aws.triggers.base import SIGNS, Direct, Trigger, Unknown
from hvac_heartbeat.aws.triggers.batches import Kafka, Kinesis, PipesKafka, PipesKinesis, PipesSqs, Sns, Sqs
from hvac_heartbeat.aws.triggers.eventbridge import EventBridge, Schedule
from hvac_heartbeat.aws.triggers.http_gateways import HttpApi, LoadBalancer, RestApi

TRIGGERS: tuple[type[Trigger], ...] = (
    LoadBalancer,
    HttpApi,
    RestApi,
    Sqs,
    Kinesis,
    Kafka,
    Sns,
    EventBridge,
    Schedule,
    PipesSqs,
    PipesKinesis,
    PipesKafka,
    Direct,
    Unknown,
)
# Every envelope has one of these, and an object without any is the payload itself: thirteen questions saved.
_ENVELOPES = frozenset({"requestContext", "Records", "eventSource", "detail-type"})


def recognise(event: Any) -> Trigger:
    """Return the trigger that the event came from; the last one takes everything."""
    if type(event) is dict and _ENVELOPES.isdisjoint(event) and not SIGNS.isdisjoint(event):
        return Direct(event)
    return next(trigger(event) for trigger in TRIGGERS if trigger.recognises(event))
