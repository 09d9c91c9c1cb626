"""What is decoded is bounded before it is decoded, and never more than it must be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hvac_heartbeat.aws.envelopes import (
    EVENT_LIMIT,
    RECORD_LIMIT,
    DecodeError,
    TooLarge,
    clock,
    decode,
    unwrap_records,
)

FULL = {
    "device_id": "hvac-unit-000001",
    "site_id": "building-a",
    "status": "ready",
    "agent_version": "1.0.0",
    "cpu_pct": 25.5,
    "disk_free_gb": 45.2,
    "queue_depth": 3,
    "poll_interval_s": 60,
    "last_upload_ts": "2026-01-05T12:00:00Z",
    "last_seen_ts": "2026-01-05T12:00:00Z",
}


def zeros(count: int) -> str:
    return f"[{'0,' * (count - 1)}0]"


def test_10_000_heartbeats_with_every_field_and_as_many_fields_again_are_decoded() -> None:
    twice = FULL | {f"other_{name}": value for name, value in FULL.items()}
    assert decode(json.dumps({"devices": [twice] * 10_000})) == {"devices": [twice] * 10_000}


@pytest.mark.parametrize(
    "text",
    [
        zeros(RECORD_LIMIT + 2),
        "[" + "{}," * 100_000 + "{}]",
        "[" * 80_000 + "]" * 80_000,
        '{"a":' * 80_000 + "1" + "}" * 80_000,
        '{"device_id":"d","site_id":"s","other":[' + "[]," * 100_000 + "[]]}",
        '{"a":0,' + ",".join(f'"k{number}":0' for number in range(RECORD_LIMIT)) + "}",
        "[" * 160_000,
    ],
    ids=["numbers", "objects", "nesting", "objects in objects", "an ignored field", "keys", "no JSON"],
)
@pytest.mark.parametrize("encode", [str, str.encode])
def test_what_would_take_too_much_memory_is_not_decoded(text: str, encode: Any) -> None:
    with pytest.raises(TooLarge, match=f"at most {RECORD_LIMIT}") as raised:
        decode(encode(text))
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("character", ["{", "[", ","])
def test_a_small_text_may_hold_any_punctuation(character: str) -> None:
    text = json.dumps({"agent_version": character * 70_000})
    assert decode(text) == json.loads(text)


def test_what_lies_within_an_envelope_is_bounded_too() -> None:
    # Escaped as \u002c the commas are not seen before the envelope has been opened.
    message = json.dumps(zeros(RECORD_LIMIT + 2)).replace(",", "\\u002c")
    (record,) = unwrap_records([("a", f'{{"Type": "Notification", "Message": {message}}}', None)])
    assert record.undecodable is not None
    assert "too many values" in record.undecodable


def test_of_records_that_are_too_much_together_the_largest_are_turned_away() -> None:
    large = zeros(EVENT_LIMIT // 2)
    contents = [large, '{"device_id":"a"}', large, zeros(RECORD_LIMIT + 2), large, '{"device_id":"b"}']
    records = list(unwrap_records([(str(index), text, None) for index, text in enumerate(contents)]))
    assert [record.id for record in records] == ["0", "1", "2", "3", "4", "5"]
    assert [record.undecodable is None for record in records] == [True, True, False, False, False, True]
    assert [records[index].body for index in (1, 5)] == [{"device_id": "a"}, {"device_id": "b"}]
    assert f"may hold {EVENT_LIMIT} values together" in str(records[2].undecodable)
    assert f"at most {RECORD_LIMIT}" in str(records[3].undecodable)


def test_a_backlog_of_small_records_is_no_crowd() -> None:
    """6 MB of base64, Lambda's largest event, of heartbeats with four fields."""
    text = json.dumps([{"device_id": "hvac-001", "site_id": "building-a", "status": "ready", "cpu_pct": 2.5}] * 100)
    contents: list[Any] = [(str(number), text, None) for number in range(6 * 1024 * 1024 * 3 // 4 // len(text))]
    assert not [record for record in unwrap_records(contents) if record.undecodable]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"device_id": "d",}', "is not JSON: see line 1, column 19"),
        ('{\n"device_id": "d"\n"site_id": "s"}', "is not JSON: see line 3, column 1"),
        (b'\xef\xbb\xbf{"device_id"', "is not JSON: see line 1, column 13"),
    ],
)
def test_broken_json_is_told_with_its_place(text: str | bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as raised:
        decode(text)
    assert str(raised.value) == reason


@pytest.mark.parametrize("value", [-1, 0, "0", "-1", "20260105", "1969-12-31T23:59:59Z", None, True, 10**400])
def test_what_is_no_clock_is_none(value: object) -> None:
    assert clock(value) is None
