"""Bad input of every kind: a clear verdict for that record, the good ones written, never an exception."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Handler = Callable[[object], Any]

GOOD = {"device_id": "good", "site_id": "s"}
HUGE = 10**5000


def deep(levels: int) -> object:
    nested: object = "bottom"
    for _ in range(levels):
        nested = [nested]
    return nested


def result(answer: dict[str, Any], key: str) -> list[tuple[int, str, str]]:
    return [(found["index"], found["field"], found["reason"]) for found in json.loads(answer["body"]).get(key, [])]


@pytest.mark.parametrize("clock", ["9999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_an_envelope_s_clock_may_say_anything(handler: Handler, connection: psycopg.Connection, clock: str) -> None:
    """What is written is never later than now, so that an upload is held against now and not a clock of the future."""
    uploads = [1_700_000_000, "2090-01-01T00:00:00Z"]
    bodies = [{"device_id": str(upload), "site_id": "s", "last_upload_ts": upload} for upload in uploads]
    answer = handler([body | {"received_at": clock} for body in bodies])
    assert answer["statusCode"] == 200
    late = "is more than 5 minutes after the heartbeat's arrival"
    assert result(answer, "ignored_fields")[-1] == (1, "last_upload_ts", late)
    seen = connection.execute("SELECT max(last_seen_ts) <= now(), count(*) FROM device_state").fetchone()
    assert seen == (True, 2)


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ({"site_id": "s"}, "device_id", "is missing"),
        ({"device_id": "d"}, "site_id", "is missing"),
        ({"device_id": None, "site_id": "s"}, "device_id", "is missing"),
        ({"device_id": "   ", "site_id": "s"}, "device_id", "is blank"),
        ({"device_id": "d", "site_id": "x" * 10_000}, "site_id", "is longer than 256 characters"),
        ({"device_id": "d\0", "site_id": "s"}, "device_id", "holds a control character"),
        ({"device_id": "\ud800", "site_id": "s"}, "device_id", "holds a lone surrogate, which is no character"),
        ({"device_id": True, "site_id": "s"}, "device_id", "is not a string"),
        ({"device_id": float("nan"), "site_id": "s"}, "device_id", "is not a string"),
        ({"device_id": 2**63, "site_id": "s"}, "device_id", "is an integer beyond signed 64 bits"),
        pytest.param(
            {"device_id": HUGE, "site_id": "s"}, "device_id", "is an integer beyond signed 64 bits", id="5,000 digits"
        ),
        ({"device_id": deep(10_000), "site_id": "s"}, "device_id", "is not a string"),
        ("text", "heartbeat", "is not a JSON object"),
        (None, "heartbeat", "is not a JSON object"),
        ([GOOD], "heartbeat", "is not a JSON object"),
    ],
)
def test_one_impossible_heartbeat_is_rejected_and_its_neighbours_are_written(
    handler: Handler, connection: psycopg.Connection, bad: object, field: str, reason: str
) -> None:
    answer = handler({"devices": [bad, GOOD]})
    assert answer["statusCode"] == 207
    assert result(answer, "rejected") == [(0, field, reason)]
    assert connection.execute("SELECT device_id FROM device_state").fetchall() == [("good",)]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("status", "rebooting", "is not one of ready, degraded, error"),
        ("status", deep(10_000), "is not one of ready, degraded, error"),
        ("agent_version", "x" * 129, "is longer than 128 characters"),
        ("agent_version", "1\0", "holds a control character"),
        ("agent_version", 1, "is not a string"),
        ("cpu_pct", float("nan"), "is not a finite number"),
        ("cpu_pct", float("-inf"), "is not a finite number"),
        ("cpu_pct", True, "is not a number"),
        ("cpu_pct", -0.5, "is below 0"),
        ("disk_free_gb", "plenty", "is text that is not a decimal number"),
        ("queue_depth", 2**31, "is outside 0 to 2147483647"),
        ("queue_depth", 2**63, "is outside 0 to 2147483647"),
        ("queue_depth", 1.5, "is not an integer"),
        pytest.param("queue_depth", HUGE, "is not a finite number", id="5,000 digits"),
        pytest.param("cpu_pct", HUGE, "is not a finite number", id="5,000 digits of percent"),
        ("poll_interval_s", 0, "is outside 1 to 2147483647"),
        ("last_upload_ts", "0000-01-01T00:00:00Z", "is not a time between the years 1 and 9999"),
        ("last_upload_ts", "10000-01-01T00:00:00Z", "is not a time in ISO 8601"),
        ("last_upload_ts", "9999-01-01T00:00:00Z", "is more than 5 minutes after the heartbeat's arrival"),
        ("last_upload_ts", False, "is neither text nor a number"),
    ],
)
def test_one_unusable_metric_is_ignored_and_the_device_is_seen(
    handler: Handler, connection: psycopg.Connection, field: str, value: object, reason: str
) -> None:
    answer = handler({"devices": [GOOD, {"device_id": "odd", "site_id": "s", field: value}]})
    assert answer["statusCode"] == 200
    assert result(answer, "ignored_fields") == [(1, field, reason)]
    assert connection.execute("SELECT device_id FROM device_state ORDER BY 1").fetchall() == [("good",), ("odd",)]


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ({"devices": []}, "devices", "is empty"),
        ({"devices": "hvac-001"}, "devices", "is not a list"),
        ({"devices": {"device_id": "a", "site_id": "b"}}, "devices", "is not a list"),
        ({"devices": None, "site_id": "b"}, "device_id", "is missing"),
    ],
)
def test_devices_that_are_no_list_of_heartbeats_are_refused(
    handler: Handler, event: object, field: str, reason: str
) -> None:
    answer = handler(event)
    assert (answer["statusCode"], result(answer, "rejected")) == (400, [(0, field, reason)])


@pytest.mark.parametrize("event", [{}, [], None, 5, "text", True, {"Records": []}, {"detail": {}}])
def test_an_event_without_heartbeats_is_refused(
    handler: Handler, connection: psycopg.Connection, event: object
) -> None:
    answer = handler(event)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["updated_devices"] == []
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (0,)


def test_fifty_thousand_devices_in_one_event_are_refused_as_a_whole(
    handler: Handler, connection: psycopg.Connection
) -> None:
    answer = handler({"devices": [{"device_id": str(number), "site_id": "s"} for number in range(50_000)]})
    assert answer["statusCode"] == 413
    assert "50000 heartbeats" in json.loads(answer["body"])["message"]
    assert connection.execute("SELECT count(*) FROM device_state").fetchone() == (0,)


def test_an_answer_stays_under_a_megabyte_and_tells_the_true_counts(handler: Handler) -> None:
    """Whatever the ids: long ones, ones of four bytes a character, ones whose every character is escaped twice."""
    for letter in ("x", "\U0001f600", '"', "\\"):
        good = [{"device_id": f"{number:05d}" + letter * 200, "site_id": "s"} for number in range(6_000)]
        bad = [{"device_id": letter * 300, "site_id": "s"} for _ in range(4_000)]
        answer = handler({"devices": good + bad})
        body = json.loads(answer["body"])
        assert len(json.dumps(answer, ensure_ascii=False).encode()) < 1_000_000
        assert (answer["statusCode"], body["message"]) == (207, "Heartbeat updated for 6000 device(s)")
        assert (len(body["rejected"]), body["rejected_count"]) == (1_000, 4_000)
        assert body.get("updated_devices_count", len(body["updated_devices"])) == 6_000
        assert max(map(len, body["updated_devices"])) == 64


def test_no_answer_and_no_log_line_echoes_more_than_64_characters(
    handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = handler({"device_id": "a" * 100 + "SECRET" * 50, "site_id": "s"})
    assert "SECRET" not in answer["body"]
    assert "SECRET" not in capsys.readouterr().out
