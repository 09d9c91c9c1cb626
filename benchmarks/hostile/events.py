"""The events that carry hostile records, without end, the same for the same seed."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.hostile.heartbeats import HEARTBEATS
from benchmarks.hostile.texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.hostile.shape import Carrier, Shape

SHAPES = TEXTS | HEARTBEATS
RECORD_LIMIT = 1_000_000  # bytes of a Kinesis record or an SQS message, with a little to spare
PAYLOAD_LIMIT = 6_290_000  # of a synchronous event, likewise (Lambda quotas)
FULL = 4  # records of that size in an event
PASSES_A_SLOW_ONE = 8
EVENTS = Path(__file__).parents[2] / "events"


@dataclass(frozen=True)
class Case:
    """One hostile record: what it is, how it comes, and the seed that makes it again."""

    number: int
    name: str
    carrier: Carrier
    seed: int

    @property
    def shape(self) -> Shape:
        """What kind of record it is."""
        return SHAPES[self.name]

    @property
    def keyed(self) -> bool:
        """Whether it goes to the database with foreign keys."""
        return self.number // 4 % 2 == 0 if self.shape.keyed is None else self.shape.keyed

    @property
    def neighbour(self) -> str | None:
        """The device of the good record beside it, None where the event has room for one alone."""
        return f"neighbour-{self.number}" if self.carrier not in ("http", "direct") else None


def event(case: Case) -> bytes:
    """Return the event as the JSON text that Lambda gets."""
    size = PAYLOAD_LIMIT if case.carrier == "http" else RECORD_LIMIT
    while True:
        text = _wrapped(case, [case.shape.make(chance, size) for chance in _chances(case)])
        if len(text) <= PAYLOAD_LIMIT:
            return text
        size = size * PAYLOAD_LIMIT // len(text) - 1_000


def _chances(case: Case) -> Iterator[Random]:
    for index in range(FULL if case.carrier == "full shard" else 1):
        yield Random(f"{case.seed}/{case.number}/{index}")  # noqa: S311 - no secret


def _wrapped(case: Case, hostile: list[bytes]) -> bytes:
    if case.carrier == "direct":
        return hostile[0]
    if case.carrier == "http":
        return json.dumps(_request(hostile[0], gzipped=case.shape.gzipped, text=case.number % 3 == 0)).encode()
    good = json.dumps({"device_id": case.neighbour, "site_id": "north", "status": "ready"}).encode()
    wrap = _sqs if case.carrier == "sqs" else _kinesis
    records = [wrap(f"hostile {index}", record) for index, record in enumerate(hostile)]
    records.insert(case.number % (len(records) + 1), wrap("good", good))
    return json.dumps({"Records": records}).encode()


def _kinesis(name: str, data: bytes) -> dict[str, Any]:
    kinesis = {"data": b64encode(data).decode(), "approximateArrivalTimestamp": time.time()}
    return {"eventSource": "aws:kinesis", "eventID": f"shardId-000000000000:{name}", "kinesis": kinesis}


def _sqs(name: str, data: bytes) -> dict[str, Any]:
    sent = {"SentTimestamp": str(int(time.time() * 1000))}
    return {"eventSource": "aws:sqs", "messageId": name, "body": data.decode("utf-8", "replace"), "attributes": sent}


def _request(body: bytes, *, gzipped: bool, text: bool) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((EVENTS / "http-api.json").read_text())
    if gzipped:
        request["headers"]["content-encoding"] = "gzip"
    elif text:
        return request | {"body": body.decode("utf-8", "replace"), "isBase64Encoded": False}
    return request | {"body": b64encode(body).decode(), "isBase64Encoded": True}


def cases(seed: int, names: Sequence[str]) -> Iterator[Case]:
    """Yield cases without end: pass after pass, every shape by every carrier, the slow shapes in some passes."""
    number = count()
    for turn in count():
        for name in names or SHAPES:
            if not SHAPES[name].slow or turn % PASSES_A_SLOW_ONE == 0:
                for carrier in SHAPES[name].carriers:
                    yield Case(next(number), name, carrier, seed)
