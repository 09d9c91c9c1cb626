"""Every trigger as the tests use it: its sample event of events/, with other heartbeats and another clock inside."""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What the tests send: two good heartbeats and one for each other end that a heartbeat can come to.
ONE = {"device_id": "hvac-001", "site_id": "building-a"}
TWO = {"device_id": "hvac-002", "site_id": "building-a"}
OUTDATED = {"device_id": "newer", "site_id": "building-a"}  # with the fixture `newer`
FAILING = {"device_id": "failing", "site_id": "building-a"}  # with the fixture `failing`
NAMELESS = {"site_id": "building-a"}
ODD = {"device_id": "hvac-003", "site_id": "building-a", "status": "asleep"}
AT = datetime(2026, 1, 5, 12, 0, 0, 123_000, UTC)  # when they arrived in AWS

EVENTS = Path(__file__).parents[2] / "events"


@cache
def _text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def sample(name: str) -> Any:
    """Return a fresh copy of one of events/*.json."""
    return json.loads(_text(name))


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _b64(text: str) -> str:
    return b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _whole(bodies: Sequence[str]) -> str:
    return bodies[0] if len(bodies) == 1 else f"[{','.join(bodies)}]"


def _http(name: str) -> Callable[[Sequence[str], datetime], Any]:
    def wrap(bodies: Sequence[str], at: datetime) -> Any:
        event = sample(name)
        body = _whole(bodies)
        event["body"] = _b64(body) if event["isBase64Encoded"] else body
        for key in ("timeEpoch", "requestTimeEpoch"):
            if key in event["requestContext"]:
                event["requestContext"][key] = _milliseconds(at)
        return event

    return wrap


def _repeated(records: list[Any], count: int) -> list[Any]:
    return [deepcopy(records[0]) for _ in range(count)]


def _sqs(name: str) -> Callable[[Sequence[str], datetime], Any]:
    def wrap(bodies: Sequence[str], at: datetime) -> Any:
        event = sample(name)
        messages = _repeated(event if isinstance(event, list) else event["Records"], len(bodies))
        for index, (message, body) in enumerate(zip(messages, bodies, strict=True)):
            message |= {"messageId": f"message-{index}", "body": body}
            message["attributes"]["SentTimestamp"] = str(_milliseconds(at))
        return messages if isinstance(event, list) else {"Records": messages}

    return wrap


def _kinesis(name: str) -> Callable[[Sequence[str], datetime], Any]:
    def wrap(bodies: Sequence[str], at: datetime) -> Any:
        event = sample(name)
        records = _repeated(event if isinstance(event, list) else event["Records"], len(bodies))
        for index, (record, body) in enumerate(zip(records, bodies, strict=True)):
            record["eventID"] = f"shardId-000000000006:{index}"
            kinesis = record.get("kinesis", record)
            kinesis |= {"data": _b64(body), "approximateArrivalTimestamp": at.timestamp()}
        return records if isinstance(event, list) else {"Records": records}

    return wrap


def _kafka(name: str) -> Callable[[Sequence[str], datetime], Any]:
    def wrap(bodies: Sequence[str], at: datetime) -> Any:
        event = sample(name)
        partitions = {"": event} if isinstance(event, list) else event["records"]
        records = _repeated(next(iter(partitions.values())), len(bodies))
        for index, (record, body) in enumerate(zip(records, bodies, strict=True)):
            record |= {"offset": 15 + index, "value": _b64(body), "timestamp": _milliseconds(at)}
        return records if isinstance(event, list) else event | {"records": {"heartbeats-0": records}}

    return wrap


def _sns(bodies: Sequence[str], at: datetime) -> Any:
    event = sample("sns")
    event["Records"][0]["Sns"] |= {"Message": _whole(bodies), "Timestamp": at.isoformat()}
    return event


def _eventbridge(bodies: Sequence[str], at: datetime) -> Any:
    return sample("eventbridge") | {
        "detail": {"devices": [json.loads(body) for body in bodies]},
        "time": at.isoformat(),
    }


def _direct(bodies: Sequence[str], at: datetime) -> Any:
    return {"devices": [json.loads(body) for body in bodies], "received_at": at.isoformat()}


def _iot(bodies: Sequence[str], at: datetime) -> Any:
    site = sample("iot")["topic_site"]
    return {
        "devices": [json.loads(body) for body in bodies],
        "topic_site": site,
        "received_at": _milliseconds(at),
    }


@dataclass(frozen=True)
class TriggerSample:
    """One trigger: `wrap` makes its event of heartbeats' JSON and the time at which they arrived in AWS."""

    name: str
    answers: Literal["http", "direct", "items", "stream"]
    wrap: Callable[[Sequence[str], datetime], Any]
    has_clock: bool = True

    def event(self, heartbeats: Sequence[object], at: datetime = AT) -> Any:
        """Return the event with these heartbeats, or with these texts in their place."""
        return self.wrap([body if isinstance(body, str) else json.dumps(body) for body in heartbeats], at)


SAMPLES = {
    trigger.name: trigger
    for trigger in (
        TriggerSample("http-api", "http", _http("http-api")),
        TriggerSample("function-url", "http", _http("function-url")),
        TriggerSample("rest-api", "http", _http("rest-api")),
        TriggerSample("load-balancer", "http", _http("load-balancer"), has_clock=False),
        TriggerSample("load-balancer-multi-value", "http", _http("load-balancer-multi-value"), has_clock=False),
        TriggerSample("sqs", "items", _sqs("sqs")),
        TriggerSample("pipes-sqs", "items", _sqs("pipes-sqs")),
        TriggerSample("kinesis", "stream", _kinesis("kinesis")),
        TriggerSample("pipes-kinesis", "stream", _kinesis("pipes-kinesis")),
        TriggerSample("kafka-msk", "stream", _kafka("kafka-msk")),
        TriggerSample("kafka-self-managed", "stream", _kafka("kafka-self-managed")),
        TriggerSample("pipes-kafka", "stream", _kafka("pipes-kafka")),
        TriggerSample("sns", "direct", _sns),
        TriggerSample("eventbridge", "direct", _eventbridge),
        TriggerSample("direct", "direct", _direct),
        TriggerSample("iot", "direct", _iot),
    )
}
