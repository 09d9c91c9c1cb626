"""In 128 MB and 7.2 % of a processor: no body costs the container, the deadline or a good neighbour."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime
from threading import Timer
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws.envelopes import EVENT_LIMIT, RECORD_LIMIT
from tests.triggers.trigger_samples import SAMPLES, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.small_lambda import SmallLambda

MB = 1 << 20
EVENT_SIZE = 6 * MB - 8_000  # bytes; Lambda's limit, and room for the envelope
MEMORY = 112  # MiB at most: some room is to be left
GOOD = json.dumps({"device_id": "good", "site_id": "s"})


def repeat(unit: str, size: int) -> str:
    return ",".join([unit] * (size // (len(unit) + 1)))


def within(unit: str, size: int) -> str:
    """Return as many of a unit as are still decoded."""
    return repeat(unit, min(size, (RECORD_LIMIT - 100) * (len(unit) + 1)))


SHAPES: dict[str, Callable[[int], str]] = {
    "zeros": lambda size: f'{{"devices":[{repeat("0", size)}]}}',
    "objects": lambda size: f"[{repeat('{}', size)}]",
    "nesting": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "objects in objects": lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    "an ignored field": lambda size: f'{{"device_id":"d","site_id":"s","other":[{repeat("[]", size)}]}}',
    "keys": lambda size: "{" + ",".join(f'"k{number}":0' for number in range(size // 12)) + "}",
    "no JSON": lambda size: '"' + "x" * size,
    "fractions that are decoded": lambda size: f'{{"device_id":"d","site_id":"s","other":[{within("1.5", size)}]}}',
    "texts that are decoded": lambda size: f'{{"device_id":"d","site_id":"s","other":[{within(_text(size), size)}]}}',
    "one long text": lambda size: f'{{"device_id":"{"x" * size}","site_id":"s","cpu_pct":NaN}}',
    "a long text with an emoji": lambda size: f'{{"device_id":"{"x" * size}\U0001f525","site_id":"s","cpu_pct":NaN}}',
}


def _text(size: int) -> str:
    return f'"{"x" * max(size // (RECORD_LIMIT - 100) - 3, 1)}"'


def http(text: str) -> Any:
    return sample("http-api") | {"body": text, "isBase64Encoded": False}


def http_base64(text: str) -> Any:
    return sample("http-api") | {"body": b64encode(text.encode()).decode(), "isBase64Encoded": True}


def http_gzip(text: str) -> Any:
    event = sample("http-api")
    event["headers"]["content-encoding"] = "gzip"
    return event | {"body": b64encode(gzip.compress(text.encode(), 1)).decode(), "isBase64Encoded": True}


def records(name: str) -> Callable[[str], Any]:
    return lambda text: SAMPLES[name].event([text] * 6 + [GOOD], datetime.now(UTC))


CARRIERS: dict[str, tuple[int, Callable[[str], Any]]] = {
    "http": (EVENT_SIZE, http),
    "http-base64": (EVENT_SIZE * 3 // 4, http_base64),
    "http-gzip": (6 * MB - 100, http_gzip),
    "sqs": (EVENT_SIZE // 6 - 1_000, records("sqs")),
    "kinesis": (EVENT_SIZE * 3 // 4 // 6 - 1_000, records("kinesis")),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_6_mb_of_any_shape_are_answered_in_time_and_in_memory(
    carrier: str, small_lambda: SmallLambda, connection: psycopg.Connection
) -> None:
    size, wrap = CARRIERS[carrier]
    small_lambda.invoke(GOOD.encode())  # the container is warm
    for shape, make in SHAPES.items():
        connection.execute("DELETE FROM device_state")
        event = json.dumps(wrap(make(size)), ensure_ascii=False).encode()
        if len(event) > 6 * MB:  # quotes that are escaped once more
            event = json.dumps(wrap(make(size * 2 // 3)), ensure_ascii=False).encode()
        assert len(event) < 6 * MB
        done = small_lambda.invoke(event)
        assert done.completed, shape
        assert done.seconds < 10, shape
        assert done.peak_mib < MEMORY, shape
        if carrier.startswith("http"):
            assert done.status in (200, 400, 413), shape
            if done.status == 413:
                assert any(limit in done.answer["body"] for limit in (str(RECORD_LIMIT), "6 MB", "12 MB")), shape
        else:
            assert connection.execute("SELECT FROM device_state WHERE device_id = 'good'").rowcount == 1, shape
            reported = [item["itemIdentifier"] for item in done.answer["batchItemFailures"]]
            assert "message-6" not in reported, shape


# Of each as many as are read: none of the records is too large by itself.
SMALL_RECORDS = {
    "zeros": ("0", 1),
    "objects": ('{"a":0}', 5),
    "bad fields": ('{"device_id":"d","site_id":"s","cpu_pct":"x"}', 7),
}


@pytest.mark.parametrize("shape", SMALL_RECORDS)
def test_many_records_that_are_not_too_large_cost_no_neighbour(
    shape: str, small_lambda: SmallLambda, connection: psycopg.Connection
) -> None:
    unit, weight = SMALL_RECORDS[shape]
    text = f"[{','.join([unit] * 9_999)}]"
    event = SAMPLES["kinesis"].event([text] * (EVENT_LIMIT // weight // 10_000 - 1) + [GOOD], datetime.now(UTC))
    done = small_lambda.invoke(event)
    assert done.completed
    assert done.seconds < 25
    assert done.peak_mib < MEMORY
    assert connection.execute("SELECT FROM device_state WHERE device_id = 'good'").rowcount == 1


@pytest.mark.parametrize("name", ["http-api", "sqs"])
def test_events_that_fail_one_after_the_other_leave_nothing_behind(
    name: str, small_lambda: SmallLambda, connection: psycopg.Connection
) -> None:
    """An error's traceback holds on to what its frames held."""
    connection.execute("DROP TABLE device_state CASCADE")
    beats = [{"device_id": f"d{number}", "site_id": "s", "cpu_pct": number / 7} for number in range(10_000)]
    event = SAMPLES[name].event([json.dumps({"devices": beats})], datetime.now(UTC))
    peaks = [small_lambda.invoke(event).peak_mib for _ in range(5)]
    assert max(peaks) < peaks[0] + 16  # it was 16 more with each


def heartbeats_to_complain_of() -> list[dict[str, Any]]:
    """10,000 with the longest answer: every field is ignored and every name takes the most room."""
    odd = {"status": "x", "agent_version": 1, "cpu_pct": "x", "disk_free_gb": -1, "queue_depth": -1}
    odd |= {"poll_interval_s": 0, "last_upload_ts": "x"}
    return [{"device_id": f"{number}" + '"' * 200, "site_id": "s", **odd} for number in range(10_000)]


@pytest.mark.parametrize("seconds", [7.5, 9.2])
def test_the_longest_answer_comes_before_the_deadline(
    seconds: float, small_lambda: SmallLambda, connection: psycopg.Connection
) -> None:
    """A lock uses up the time: what is written only just in time is answered in time; later nothing is written."""
    small_lambda.invoke(GOOD.encode())
    event = SAMPLES["http-api"].event(heartbeats_to_complain_of(), datetime.now(UTC))
    connection.execute("BEGIN; LOCK TABLE device_state")
    release = Timer(seconds, connection.execute, ["COMMIT"])
    release.start()
    done = small_lambda.invoke(event, timeout_s=10)
    release.join()
    assert done.completed, done.log
    assert done.status == (200 if seconds < 8 else 503)
