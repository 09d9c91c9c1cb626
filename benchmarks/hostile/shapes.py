"""Records that mean harm, by shape: each is a generator of up to so many bytes, the same for the same seed."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Maker = Callable[[Random, int], bytes]
    Beat = dict[str, Any]

Carrier = Literal["kinesis", "full shard", "sqs", "http", "direct"]
FLEET = 10_000  # devices that the database with foreign keys knows
MOST = 10_000  # heartbeats that a record may hold
STRANGERS = 50_000  # ids that it does not know are drawn from so many, so that some come again
_BAD = {
    "status": ["rebooting", 7, None, [], {}, "x" * 60],
    "agent_version": ["v" * 129, 1.5, [1], "a\0b", True],
    "cpu_pct": ["n/a", -1, "1e999", True, "", {}],
    "disk_free_gb": ["9" * 60, -0.5, [], "-"],
    "queue_depth": [2**31, -1, 0.5, "many", 10**30],
    "poll_interval_s": [0, "0", False, 2**40],
    "last_upload_ts": ["yesterday", "9999-99-99", 1e300, -1, "2" * 60, []],
}


@dataclass(frozen=True)
class Shape:
    """One way to do harm; on the database with foreign keys (`keyed`), on one without, or on both in turns."""

    make: Maker
    keyed: bool | None = None
    carriers: tuple[Carrier, ...] = ("kinesis", "full shard", "sqs", "http", "direct")
    gzipped: bool = False  # the body is said to be gzip


def known(number: int) -> str:
    """Return the id of a device that the database with foreign keys knows."""
    return f"hvac-{number % FLEET:05}"


def _repeat(unit: str, size: int) -> str:
    return ",".join([unit] * (size // (len(unit) + 1)))


def _units(*units: str) -> Maker:
    def make(chance: Random, size: int) -> bytes:
        many = _repeat(chance.choice(units), size - 40)
        return f'{{"devices":[{many}]}}'.encode() if chance.random() < 0.7 else f"[{many}]".encode()

    return make


def _ignored_field(*units: str) -> Maker:
    def make(chance: Random, size: int) -> bytes:
        many = _repeat(chance.choice(units), size - 100)
        return f'{{"device_id":"{known(chance.randrange(FLEET))}","site_id":"north","junk":[{many}]}}'.encode()

    return make


def _text_field(*units: str) -> Maker:
    """Put one enormous text into a field that counts or in one that does not."""

    def make(chance: Random, size: int) -> bytes:
        unit, field = chance.choice(units), chance.choice(("device_id", "status", "last_upload_ts", "cpu_pct", "junk"))
        beat = {"device_id": known(1), "site_id": "north", field: "HERE"}
        return json.dumps(beat).replace("HERE", unit * ((size - 100) // len(unit.encode()))).encode()

    return make


def _beats(beat: Callable[[Random, int], Beat], *, most: int = MOST, exact: bool = False) -> Maker:
    """Put as many heartbeats into the record as fit; each is made with its number."""

    def make(chance: Random, size: int) -> bytes:
        texts: list[str] = []
        size -= 20
        for number in range(most):
            text = json.dumps(beat(chance, number))
            size -= len(text) + 2
            if size < 0:
                break
            texts.append(text)
        if not exact and chance.random() < 0.3:
            texts = texts[: chance.randrange(len(texts)) + 1]
        return f'{{"devices": [{", ".join(texts)}]}}'.encode()

    return make


def _beat(number: int, **fields: Any) -> Beat:
    return {"device_id": known(number), "site_id": "north", **fields}


def _stranger(chance: Random, number: int) -> Beat:
    return _beat(number, device_id=f"stranger-{chance.randrange(STRANGERS)}")


def _half_strange(chance: Random, number: int) -> Beat:
    return _stranger(chance, number) if number % 2 else _beat(number)


def _bad_fields(chance: Random, number: int) -> Beat:
    return _beat(number, **{name: chance.choice(values) for name, values in _BAD.items()})


def _nul(chance: Random, number: int) -> Beat:
    field = chance.choice(("device_id", "site_id", "status", "agent_version"))
    return _beat(number) | {field: f"a\0{number}"}


def _deep(chance: Random, size: int) -> bytes:
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}"), ('{"devices":[', "]}"), ('[{"a":', "}]")))
    depth = chance.choice((500, 20_000, size // (len(opening) + len(closing)) - 60))
    depth = min(depth, size // (len(opening) + len(closing)) - 60)
    deep = opening * depth + "1" + closing * (depth if chance.random() < 0.8 else 0)
    return chance.choice((deep, f'{{"device_id":"{known(2)}","site_id":"north","junk":{deep}}}')).encode()


def _spoilt(spoil: Callable[[Random, bytes], bytes]) -> Maker:
    """Spoil a record of thousands of good heartbeats, so that it is read to the end before it is found out."""
    good = _beats(lambda _, number: _beat(number, status="ready", cpu_pct=1.5), exact=True)

    def make(chance: Random, size: int) -> bytes:
        return spoil(chance, good(chance, size))[:size]

    return make


def _flip(chance: Random, text: bytes) -> bytes:
    flipped = bytearray(text)
    for _ in range(chance.choice((1, 10, 1_000))):
        flipped[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(flipped)


def _envelopes(chance: Random, size: int) -> bytes:
    opening = chance.choice(('{"detail-type":"x","source":"y","detail":', '{"Type":"Notification","Message":'))
    depth = min(chance.choice((50, 900, 100_000)), (size - 100) // (len(opening) + 1))
    return (opening * depth + json.dumps(_beat(3)) + "}" * depth).encode()


def _quoted_envelopes(_: Random, size: int) -> bytes:
    text = json.dumps(_beat(4))
    while len(bigger := json.dumps({"Type": "Notification", "Message": text})) < size:
        text = bigger
    return text.encode()


def _duplicates(chance: Random, size: int) -> bytes:
    inner = chance.choice(('"device_id":"x"', '"devices":[]', '"devices":[{}]', '"":0', '"cpu_pct":1'))
    return f'{{{_repeat(inner, size - 60)},"device_id":"{known(5)}","site_id":"north"}}'.encode()


def _garbage(chance: Random, size: int) -> bytes:
    return chance.choice((chance.randbytes(size), b"\0" * size, b"\xff" * size, b" " * size, b"[" * size, b'"' * size))


def _bomb(chance: Random, size: int) -> bytes:
    unit = chance.choice((b" ", b"0,", b"[", b"{},", b'{"device_id":1},'))
    bomb = gzip.compress(b'{"devices":[' + unit * (chance.choice((20, 100)) * (1 << 20) // len(unit)), 1, mtime=0)
    if chance.random() < 0.3:
        bomb = gzip.compress(bomb, mtime=0)  # a bomb inside a bomb
    return bomb[:size]


_NOT_UTF8 = (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80")
_LONG = '"' + "9" * 400 + '"'
SHAPES: dict[str, Shape] = {
    "zeros": Shape(_units("0")),
    "empty objects": Shape(_units("{}")),
    "empty lists": Shape(_units("[]")),
    "nulls, booleans, texts": Shape(_units("null", "true", '""', '"\\u0000"')),
    "objects in lists": Shape(_units("[{}]", '{"devices":[]}', '{"a":{}}', "[[[]]]")),
    "single keys": Shape(_units('{"device_id":1}', '{"site_id":"s"}', '{"device_id":"d","site_id":[]}')),
    "deep nesting": Shape(_deep),
    "an ignored field of lists": Shape(_ignored_field("[]", "[[]]", "0", '""')),
    "an ignored field of objects": Shape(_ignored_field("{}", '{"a":0}', '{"a":[{}]}')),
    "one huge integer": Shape(lambda _, size: b'{"device_id":' + b"9" * (size - 40) + b',"site_id":1}'),
    "many huge integers": Shape(_units("9" * 300, "9" * 5_000, "-" + "1" * 20)),
    "long floats": Shape(_units("0." + "3" * 500, "1e999999", "1" * 300 + ".5", "1E-400")),
    "NaN": Shape(_units("NaN", "Infinity", '{"device_id":NaN}', '{"device_id":"d","site_id":"s","cpu_pct":NaN}')),
    "huge texts": Shape(_text_field("x", "\\u00e9", "7", "\U0001d518")),
    "escapes": Shape(_text_field("\\u0041", "\\\\", "\\n", '\\"', "\\/")),
    "lone surrogates": Shape(_text_field("\\ud800", "\\udc00\\ud800")),
    "surrogates in every id": Shape(_beats(lambda _, number: _beat(number) | {"device_id": f"\ud800{number}"})),
    "NUL in every heartbeat": Shape(_beats(_nul)),
    "invalid UTF-8": Shape(
        _spoilt(lambda c, text: text.replace(b"hvac-", c.choice(_NOT_UTF8))), carriers=("kinesis", "http")
    ),
    "flipped bytes": Shape(_spoilt(_flip), carriers=("kinesis", "sqs", "http")),
    "cut off": Shape(_spoilt(lambda chance, text: text[: -chance.randrange(1, 100)])),
    "raw control characters": Shape(_spoilt(lambda _, text: text.replace(b"ready", b"re\1dy"))),
    "a NaN at the end": Shape(_spoilt(lambda _, text: text[:-3] + b',"disk_free_gb":NaN}]}')),
    "another encoding": Shape(_spoilt(lambda _, text: text.decode().encode("utf-16")), carriers=("kinesis", "http")),
    "duplicated keys": Shape(_duplicates),
    "many keys": Shape(lambda _, size: json.dumps({f"k{n}": 0 for n in range(size // 14)}).encode()),
    "envelopes in envelopes": Shape(_envelopes),
    "quoted envelopes": Shape(_quoted_envelopes),
    "garbage": Shape(_garbage, carriers=("kinesis", "sqs", "http")),
    "gzip bombs": Shape(_bomb, carriers=("http",), gzipped=True),
    "bad fields": Shape(_beats(_bad_fields)),
    "bad fields of strangers": Shape(_beats(lambda c, n: _bad_fields(c, n) | _stranger(c, n)), keyed=True),
    "strangers": Shape(_beats(_stranger), keyed=True),
    "half strangers": Shape(_beats(_half_strange), keyed=True),
    "one device at many sites": Shape(_beats(lambda c, _: _beat(7, site_id=f"s{c.randrange(STRANGERS)}"))),
    "one stranger at many sites": Shape(_beats(lambda _, n: {"device_id": "nobody", "site_id": f"s{n}"}), keyed=True),
    "ids over varchar(50)": Shape(_beats(lambda _, n: _beat(n) | {"device_id": f"{n:051}"}), keyed=True),
    "sites over varchar(50)": Shape(_beats(lambda _, n: _beat(n) | {"site_id": f"{n:0100}"}), keyed=True),
    "versions over varchar(20)": Shape(_beats(lambda _, n: _beat(n, agent_version="1.0." + "0" * 30)), keyed=True),
    "one device, many times": Shape(_beats(lambda c, n: _beat(8, queue_depth=n, cpu_pct=c.random()))),
    "over 10,000 heartbeats": Shape(_units('{"device_id":"hvac-00001","site_id":"n"}')),
    "valid heartbeats": Shape(_beats(lambda c, n: _beat(n, status="ready", cpu_pct=c.random()), exact=True)),
    "numbers as text": Shape(_units(f'{{"device_id":"d","site_id":"s","cpu_pct":{_LONG},"last_upload_ts":{_LONG}}}')),
}
