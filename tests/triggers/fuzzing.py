"""Makes events that are nearly right: every trigger's envelope, cut, nested, and of wrong types at every level."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.triggers.trigger_samples import SAMPLES, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_DEEP: Any = "leaf"
for _ in range(200):
    _DEEP = [_DEEP]

ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63), 2**64, 10**400, float("nan"), float("inf"), -0.0, 1e308,
    "", " ", "a\0b", "\ud800", "\udfff\ud800", "x" * 257, "x" * 10_000, "ü", "\U0001d518" * 256, "\x85", "\u200b",
    "7", "-7.5", "1e400", "NaN", "null", "true", "{}", "[]", "[" * 3_000, '{"device_id":', "ready", "degraded",
    "2026-01-05T12:00:00Z", "0000-01-01", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    1e18, -62135596801,
    [], {}, [[]], [None], {"": None}, {"devices": []}, {"devices": None}, {"devices": {}}, {"devices": [[]]}, _DEEP,
    "e30=", "e30", "ew==", "////", "aws:sqs", "aws:kinesis", "aws:kafka", "2.0", "POST", "GET", "/health", "/heartbeat",
]  # fmt: skip

FIELDS = (
    "device_id", "site_id", "status", "agent_version", "cpu_pct", "disk_free_gb", "queue_depth", "poll_interval_s",
    "last_upload_ts", "last_seen_ts", "received_at", "topic_device", "topic_site", "devices", "Type",
    "Message", "detail",
)  # fmt: skip
_TICKS = ("schedule", "scheduler")
# Lone surrogates too, as they come out of Lambda's own decoder.
_dump = json.JSONEncoder(ensure_ascii=True).encode


class EventMaker:
    """A stream of events; one seed, one stream."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ways: list[tuple[int, Callable[[], Any]]] = [
            (8, self._mutated),
            (3, self._clean),
            (1, self._anything),
        ]

    def event(self) -> Any:
        """Return the next event."""
        (make,) = self._random.choices([way for _, way in self._ways], [weight for weight, _ in self._ways])
        return make()

    def _odd(self) -> Any:
        return self._random.choice(ODD)

    def _heartbeat(self) -> Any:
        random = self._random
        beat: dict[str, Any] = {"device_id": f"d{random.randrange(50)}", "site_id": f"s{random.randrange(3)}"}
        if random.random() < 0.5:
            beat |= {"status": "ready", "cpu_pct": random.random() * 100, "queue_depth": random.randrange(9)}
        for _ in range(random.choice((0, 0, 1, 2, 3))):
            beat[random.choice(FIELDS)] = self._odd()
        if random.random() < 0.05:
            return self._odd()
        if random.random() < 0.1:
            return {"devices": [self._heartbeat() for _ in range(random.randrange(4))]}
        return beat

    def _body(self) -> str:
        random = self._random
        beat = self._heartbeat()
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            if random.random() < 0.5:
                beat = {"Type": "Notification", "Message": _dump(beat), "Timestamp": self._odd()}
            else:
                beat = {"detail-type": "x", "source": "y", "detail": beat, "time": self._odd()}
        text = _dump(beat)
        if random.random() < 0.1:
            cut = random.randrange(len(text) + 1)
            text = text[:cut] + random.choice(("", "\0", "\ud800", "\ufeff", "9" * 5_000, "NaN")) + text[cut + 1 :]
        return text

    def _clean(self) -> Any:
        random = self._random
        name = random.choice((*SAMPLES, *_TICKS))
        if name in _TICKS:
            return sample(name)
        trigger = SAMPLES[name]
        at = datetime.now(UTC) - timedelta(seconds=random.randrange(100_000))
        count = random.choice((1, 1, 2, 3, 8))
        if trigger.answers == "direct":
            return trigger.event([_dump(self._heartbeat()) for _ in range(count)], at)
        return trigger.event([self._body() for _ in range(count)], at)

    def _mutated(self) -> Any:
        event = self._clean()
        for _ in range(self._random.choice((1, 1, 2, 4))):
            event = self._mutate(event)
        return event

    def _mutate(self, node: Any) -> Any:
        random = self._random
        if random.random() < 0.15 or not isinstance(node, dict | list | str) or not node:
            return self._odd()
        if isinstance(node, str):
            cut = random.randrange(len(node))
            return random.choice(
                (node[:cut], node[cut:], b64encode(node.encode("utf-8", "replace")).decode(), node * 2)
            )
        if isinstance(node, list):
            index = random.randrange(len(node))
            if random.random() < 0.2:
                return node[:index] + random.choice(([], [self._odd()], node)) + node[index + 1 :]
            return [*node[:index], self._mutate(node[index]), *node[index + 1 :]]
        key = random.choice(list(node))
        if random.random() < 0.15:
            return {name: value for name, value in node.items() if name != key}
        return node | {key: self._mutate(node[key])}

    def _anything(self, depth: int = 4) -> Any:
        random = self._random
        if not depth or random.random() < 0.3:
            return self._odd()
        if random.random() < 0.3:
            return [self._anything(depth - 1) for _ in range(random.randrange(4))]
        keys = (*FIELDS, "Records", "requestContext", "version", "httpMethod", "eventSource", "records", "source")
        return {random.choice(keys): self._anything(depth - 1) for _ in range(random.randrange(5))}
