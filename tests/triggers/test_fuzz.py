"""Whatever comes in: a documented answer or StoreUnavailable comes out, and nothing invalid reaches the store."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler
from hvac_heartbeat.aws.triggers import recognise
from hvac_heartbeat.errors import BatchRefused, StoreUnavailable
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.store import device_state
from tests.triggers.conftest import Context
from tests.triggers.fuzzing import EventMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from hvac_heartbeat.heartbeat import Heartbeat
    from tests.triggers.conftest import Function

STATUSES = {
    "http": {200, 207, 400, 401, 403, 404, 405, 413, 503},
    "direct": {200, 207, 400, 413},
    "schedule": {200},
    "unknown": {400},
}
HTTP = {"http-api", "rest-api", "load-balancer"}
QUEUES = {"sqs", "pipes-sqs"}
STREAMS = {"kinesis", "pipes-kinesis", "kafka", "pipes-kafka"}
INT4 = 2**31


def check_heartbeat(heartbeat: Heartbeat) -> None:
    """Check one heartbeat against the table of the contract, written down here once more."""
    for text, longest in ((heartbeat.device_id, 256), (heartbeat.site_id, 256), (heartbeat.agent_version, 128)):
        if text is not None:
            assert type(text) is str
            assert len(text) <= longest
            assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
            text.encode()  # no lone surrogate
    assert heartbeat.device_id.strip() == heartbeat.device_id != ""
    assert heartbeat.site_id.strip() == heartbeat.site_id != ""
    assert heartbeat.status in (None, "ready", "degraded", "error")
    for amount in (heartbeat.cpu_pct, heartbeat.disk_free_gb):
        assert amount is None or (type(amount) is float and math.isfinite(amount) and amount >= 0)
    assert heartbeat.queue_depth is None or (type(heartbeat.queue_depth) is int and 0 <= heartbeat.queue_depth < INT4)
    interval = heartbeat.poll_interval_s
    assert interval is None or (type(interval) is int and 1 <= interval < INT4)
    assert heartbeat.received_at is None or heartbeat.received_at.tzinfo is not None
    if heartbeat.last_upload_ts is not None:
        assert heartbeat.last_upload_ts.tzinfo is not None
        assert heartbeat.last_upload_ts <= datetime.now(UTC) + timedelta(minutes=5, seconds=1)


class CheckingStore:
    """Checks every batch instead of writing it, and fails or refuses when `Store` says so."""

    def __init__(self, *_: object, **__: object) -> None:
        self.heartbeats = 0

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        ids = [heartbeat.device_id for heartbeat in heartbeats]
        assert ids == sorted(set(ids))
        for heartbeat in heartbeats:
            check_heartbeat(heartbeat)
        device_state._as_arrays(heartbeats)  # they can be packed for the wire
        self.heartbeats += len(heartbeats)
        if Store.will == "fail":
            raise StoreUnavailable
        if Store.will == "fail in part" and set(ids).intersection(Store.refused(ids)):
            raise BatchRefused(Complaint("heartbeat", "may pass"), StoreUnavailable())
        if Store.will == "refuse in part" and set(ids).intersection(Store.refused(ids)):
            raise BatchRefused(Complaint("heartbeat", "violates x"))
        return BatchResult(outdated=frozenset(ids[1::2]) if Store.will == "refuse in part" else frozenset())

    def note_late(self, heartbeats: Sequence[Heartbeat], deadline: float) -> str | None:
        assert heartbeats
        assert all(heartbeat.received_at is not None for heartbeat in heartbeats)
        return None


class Store:
    """What the doubles do in this invocation."""

    will = "write"

    @staticmethod
    def refused(ids: Sequence[str]) -> list[str]:
        """Return which of these devices the double refuses: about half of all there are."""
        return [device_id for device_id in ids if sum(map(ord, device_id)) % 2]


class CountingDatabase:
    """Answers the sweep and the look at the health, and tells nobody."""

    milliseconds = 0.0

    def __init__(self, *_: object) -> None:
        pass

    def run(self, statement: str, deadline: float) -> list[tuple[object, ...]]:
        if Store.will == "fail":
            raise StoreUnavailable
        return [("f",)] if "to_regprocedure" in statement else [(3, 1)]

    def close(self) -> None:
        pass


def check_answer(event: Any, answer: Any) -> str:
    """Check an answer against what is documented for the event's trigger; return the trigger's name."""
    name = recognise(event).name
    if name in QUEUES:
        messages = event if isinstance(event, list) else event["Records"]
        known = [message.get("messageId") for message in messages if isinstance(message, dict)]
        assert answer.keys() == {"batchItemFailures"}
        for item in answer["batchItemFailures"]:
            assert item.keys() == {"itemIdentifier"}
            assert isinstance(item["itemIdentifier"], str)
            assert item["itemIdentifier"]
            assert item["itemIdentifier"] in known
    elif name in STREAMS:
        assert answer == {"batchItemFailures": []}
    else:
        assert answer["statusCode"] in STATUSES.get("http" if name in HTTP else name, STATUSES["direct"])
        body = json.loads(answer["body"])
        assert {"message", "timestamp"} <= body.keys()
        assert len(json.dumps(answer)) < 1_000_000
        if name in HTTP:
            assert answer["isBase64Encoded"] is False
            assert "headers" in answer or "multiValueHeaders" in answer
        else:
            assert answer.keys() == {"statusCode", "body"}
    return name


def check_log(text: str) -> dict[str, Any]:
    """Check that the lines are JSON, of which the last alone is the invocation's; return it."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["message"] for line in lines].count("invocation") == 1
    found: dict[str, Any] = lines[-1]
    assert "_aws" in found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_52_000_generated_events_give_only_documented_answers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)  # noqa: S311 - nothing secret, but the same events again
    maker = EventMaker(random)
    for name in ("DB_HOST", "DB_NAME", "DB_USER"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setattr(handler, "DeviceState", CheckingStore)
    monkeypatch.setattr(handler, "Database", CountingDatabase)
    if seed == 3:
        monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "sub")
        monkeypatch.setenv("HEARTBEAT_SITE_CLAIM", "iam.userArn")
    handler.reset()
    context = Context()
    answered: Counter[str] = Counter()
    raised = updated = rejected = 0
    for _ in range(13_000):
        event = maker.event()
        Store.will = random.choice(("write",) * 6 + ("fail", "fail in part", "refuse in part"))
        log = io.StringIO()
        with contextlib.redirect_stdout(log):
            try:
                answer = handler.lambda_handler(event, context)
            except StoreUnavailable:
                assert Store.will.startswith("fail")
                assert recognise(event).name not in HTTP
                raised += 1
            else:
                answered[check_answer(event, answer)] += 1
        line = check_log(log.getvalue())
        updated += line["updated"]
        rejected += line["rejected"]
    handler.reset()
    # The generator is worth something only while it reaches every trigger, and both verdicts.
    assert min(answered.values()) > 30
    assert len(answered) == 14
    assert raised > 300
    assert updated > 3_000
    assert rejected > 3_000


@pytest.mark.slow
def test_generated_events_never_make_a_real_database_refuse_a_value(
    function: Function, connection: psycopg.Connection
) -> None:
    maker = EventMaker(Random("on PostgreSQL"))  # noqa: S311 - as above
    for _ in range(3_000):
        event = maker.event()
        check_answer(event, handler.lambda_handler(event, Context()))
    lines = function.log()
    reasons = {line["reason"] for line in lines if line["message"] == "heartbeat rejected"}
    assert reasons
    assert not [reason for reason in reasons if "database" in reason]
    assert sum(line.get("updated", 0) for line in lines) > 400
    assert sum(line.get("outdated", 0) for line in lines) > 400
    (rows,) = connection.execute("SELECT count(*) FROM device_state WHERE last_seen_ts <= now()").fetchone() or (0,)
    assert rows > 50
