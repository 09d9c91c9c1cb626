"""Bodies of HTTP requests: their size, their compression, and what is wrong in them."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws.triggers.http import BODY_LIMIT
from tests.triggers.answers import body, complaint, none_accepted, response
from tests.triggers.http_requests import BEAT, on_every_gateway, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function


@on_every_gateway
@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_over_6_mb_is_refused_with_nothing_written(
    name: str, *, encoded: bool, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    text = json.dumps(BEAT | {"padding": "ü" * (3 * 1024 * 1024)}, ensure_ascii=False)
    event = request(name, "POST", "/heartbeat")
    event |= {"body": b64encode(text.encode()).decode() if encoded else text, "isBase64Encoded": encoded}
    assert function(event) == response(name, 413, body("The body is over 6 MB: send smaller ones"))
    assert not seen()


@on_every_gateway
def test_a_text_that_takes_over_12_mb_in_memory_is_refused(name: str, function: Function) -> None:
    """One emoji makes Python hold every character of a text in four bytes."""
    event = request(name, "POST", "/heartbeat")
    event["body"] = json.dumps(BEAT | {"padding": "x" * 5_000_000 + "\U0001f525"}, ensure_ascii=False)
    message = "The body takes over 12 MB in memory: send smaller ones"
    assert function(event) == response(name, 413, body(message))


@on_every_gateway
def test_a_body_of_nearly_6_mb_is_taken(name: str, function: Function) -> None:
    assert function(request(name, "POST", "/heartbeat", BEAT | {"padding": "x" * 6_200_000}))["statusCode"] == 200


SPOILED_BODIES = {
    "nothing": (None, "is empty"),
    "blank": (" \n", "is empty"),
    "no JSON": ("device_id=d", "is not JSON: see line 1, column 1"),
    "cut": ('{"device_id": "d"', "is not JSON: see line 1, column 18"),
    "broken in its third line": ('{\n  "device_id": "d",\n  "site_id": s\n}', "is not JSON: see line 3, column 14"),
    "not text": ({"device_id": "d", "site_id": "s"}, "is not text"),
    "nested too deeply": ("[" * 70_000, "is nested too deeply"),
    "nested and closed": ('{"a":' * 5_000 + "1" + "}" * 5_000, "is nested too deeply"),
}


@pytest.mark.parametrize("spoiled", SPOILED_BODIES)
def test_a_malformed_body_is_the_senders_mistake(spoiled: str, function: Function) -> None:
    content, reason = SPOILED_BODIES[spoiled]
    answer = function(request("http-api", "POST", "/heartbeat") | {"body": content})
    assert answer == response("http-api", 400, none_accepted(complaint(0, None, "body", reason)))


@pytest.mark.parametrize("wrong", ["?", "e30", "ü", "e30=\n", 7, None])
def test_wrong_base64_is_a_malformed_body(wrong: object, function: Function) -> None:
    answer = function(request("http-api", "POST", "/heartbeat") | {"body": wrong, "isBase64Encoded": True})
    assert answer["statusCode"] == 400
    assert answer["body"]["rejected"][0]["field"] == "body"


SPOILED_VALUES = [
    '"cpu_pct": NaN',
    '"cpu_pct": -Infinity',
    '"cpu_pct": 1e400',
    '"queue_depth": ' + "9" * 5_000,
    '"queue_depth": -' + "9" * 5_000,
    '"agent_version": "\\ud800"',
    '"agent_version": "\ud800"',
    '"agent_version": "raw \x01 control"',
]


@pytest.mark.parametrize(
    "spoiled", SPOILED_VALUES, ids=lambda spoiled: spoiled[:24].encode("ascii", "replace").decode()
)
def test_a_value_that_json_forbids_spoils_only_itself(
    spoiled: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = f'[{{"device_id": "a", "site_id": "s", {spoiled}}}, {{"device_id": "b", "site_id": "s", "cpu_pct": 1}}]'
    answer = function(request("http-api", "POST", "/heartbeat") | {"body": body})
    assert answer["statusCode"] == 200
    assert [found["index"] for found in answer["body"]["ignored_fields"]] == [0]
    assert list(seen()) == ["a", "b"]


@pytest.mark.parametrize("identity", ["NaN", "9" * 5_000, '"\\udfff"', "1e400"])
def test_an_identity_that_json_forbids_spoils_only_its_record(
    identity: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = f'[{{"device_id": {identity}, "site_id": "s"}}, {{"device_id": "b", "site_id": "s"}}]'
    answer = function(request("http-api", "POST", "/heartbeat") | {"body": body})
    assert answer["statusCode"] == 207
    assert [found["index"] for found in answer["body"]["rejected"]] == [0]
    assert list(seen()) == ["b"]


def test_bytes_that_are_not_utf_8_spoil_only_their_record(
    function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    body = b'\xef\xbb\xbf[{"device_id": "\xff", "site_id": "s"}, {"device_id": "b", "site_id": "s"}]'
    event = request("http-api", "POST", "/heartbeat")
    answer = function(event | {"body": b64encode(body).decode(), "isBase64Encoded": True})
    assert answer["statusCode"] == 207
    assert list(seen()) == ["b"]


def compressed(name: str, coding: str, content: bytes) -> Any:
    """Return a request with this body; each gateway has its own way to hold the header."""
    event = request(name, "POST", "/heartbeat") | {"body": b64encode(content).decode(), "isBase64Encoded": True}
    header = "content-encoding" if "httpMethod" not in event or "load" in name else "Content-Encoding"
    if "multiValueHeaders" in event:
        event["multiValueHeaders"][header] = [coding]
    if "headers" in event:
        event["headers"][header] = coding
    return event


DEFLATED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


@on_every_gateway
@pytest.mark.parametrize("coding", DEFLATED)
def test_a_compressed_body_is_taken(
    name: str, coding: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    content = DEFLATED[coding](json.dumps(BEAT).encode())
    assert function(compressed(name, coding, content))["statusCode"] == 200
    assert list(seen()) == ["d"]


def test_a_body_that_the_gateway_has_decompressed_is_taken_as_it_is(function: Function) -> None:
    event = request("rest-api", "POST", "/heartbeat")
    event["headers"]["Content-Encoding"] = "gzip"
    assert function(event)["statusCode"] == 200


@on_every_gateway
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip, deflate", "ü"])
def test_another_compression_is_told_which_ones_are_taken(name: str, coding: str, function: Function) -> None:
    answer = function(compressed(name, coding, b"?"))
    message = "Only gzip and deflate are taken as Content-Encoding"
    assert answer == response(name, 415, body(message), **{"accept-encoding": "gzip, deflate"})


GOOD = json.dumps(BEAT).encode()


@pytest.mark.parametrize(
    ("coding", "content", "reason"),
    [
        ("gzip", GOOD, "is not gzip"),
        ("gzip", zlib.compress(GOOD), "is not gzip"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:-1], "is not one whole gzip stream"),
        ("gzip", gzip.compress(GOOD, mtime=0) + b"?", "is not one whole gzip stream"),
        ("gzip", b"", "is not one whole gzip stream"),
        ("deflate", GOOD, "is not deflate"),
        ("gzip", gzip.compress(b"", mtime=0), "is empty"),
        ("gzip", gzip.compress(b"{", mtime=0), "is not JSON: see line 1, column 2"),
    ],
)
def test_a_spoiled_compressed_body_is_the_senders_mistake(
    coding: str, content: bytes, reason: str, function: Function
) -> None:
    answer = function(compressed("http-api", coding, content))
    assert answer == response("http-api", 400, none_accepted(complaint(0, None, "body", reason)))


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 1 << 30])
def test_what_is_over_6_mb_when_it_is_decompressed_is_refused(size: int, function: Function) -> None:
    """A gigabyte of blanks is one megabyte of gzip; it is given up at 6 MB."""
    bomb = zlib.compressobj(1, wbits=31)
    content = (
        b"".join(bomb.compress(b" " * min(1 << 20, size - done)) for done in range(0, size, 1 << 20)) + bomb.flush()
    )
    message = "The body is over 6 MB when it is decompressed: send smaller ones"
    assert function(compressed("http-api", "gzip", content)) == response("http-api", 413, body(message))
