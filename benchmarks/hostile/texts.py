"""Hostile records that are large or odd before anybody looks for a heartbeat in them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from benchmarks.hostile.shape import FLEET, Maker, Shape, beat, known

if TYPE_CHECKING:
    from random import Random

_KEYS = ('"k#":0', '"k#":[]', '"k#":"#"', '"k#":null')
_LONG = '"' + "9" * 400 + '"'


def _repeat(chance: Random, units: tuple[str, ...], size: int) -> str:
    """Repeat one of the units, `#` in it being a number: as often as there is room, or less, below a bound perhaps."""
    unit = chance.choice(units)
    number = size // (len(unit.replace("#", "7" * 7)) + 1)
    if chance.random() < 0.4:
        number = min(number, chance.randrange(1_000, 300_000))
    return ",".join([unit.replace("#", str(index)) for index in range(number)] if "#" in unit else [unit] * number)


def _units(*units: str) -> Maker:
    def make(chance: Random, size: int) -> bytes:
        many = _repeat(chance, units, size - 40)
        return f'{{"devices":[{many}]}}'.encode() if chance.random() < 0.7 else f"[{many}]".encode()

    return make


def _ignored_field(*units: str) -> Maker:
    def make(chance: Random, size: int) -> bytes:
        many = _repeat(chance, units, size - 100)
        return f'{{"device_id":"{known(chance.randrange(FLEET))}","site_id":"north","junk":[{many}]}}'.encode()

    return make


def _text_field(*units: str) -> Maker:
    """Put one enormous text into a field that counts or in one that does not."""

    def make(chance: Random, size: int) -> bytes:
        unit, field = chance.choice(units), chance.choice(("device_id", "status", "last_upload_ts", "cpu_pct", "junk"))
        beat = {"device_id": known(1), "site_id": "north", field: "HERE"}
        return json.dumps(beat).replace("HERE", unit * ((size - 100) // len(unit.encode()))).encode()

    return make


def _deep(chance: Random, size: int) -> bytes:
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}"), ('{"devices":[', "]}"), ('[{"a":', "}]")))
    depth = chance.choice((500, 20_000, size // (len(opening) + len(closing)) - 60))
    depth = min(depth, size // (len(opening) + len(closing)) - 60)
    deep = opening * depth + "1" + closing * (depth if chance.random() < 0.8 else 0)
    return chance.choice((deep, f'{{"device_id":"{known(2)}","site_id":"north","junk":{deep}}}')).encode()


def _envelopes(chance: Random, size: int) -> bytes:
    opening = chance.choice(('{"detail-type":"x","source":"y","detail":', '{"Type":"Notification","Message":'))
    depth = min(chance.choice((50, 900, 100_000)), (size - 100) // (len(opening) + 1))
    return (opening * depth + json.dumps(beat(3)) + "}" * depth).encode()


def _quoted_envelopes(_: Random, size: int) -> bytes:
    text = json.dumps(beat(4))
    while len(bigger := json.dumps({"Type": "Notification", "Message": text})) < size:
        text = bigger
    return text.encode()


def _duplicates(chance: Random, size: int) -> bytes:
    inner = ('"device_id":"x"', '"devices":[]', '"devices":[{}]', '"":0', '"cpu_pct":1')
    return f'{{{_repeat(chance, inner, size - 60)},"device_id":"{known(5)}","site_id":"north"}}'.encode()


def _garbage(chance: Random, size: int) -> bytes:
    return chance.choice((chance.randbytes(size), b"\0" * size, b"\xff" * size, b" " * size, b"[" * size, b'"' * size))


def _bomb(chance: Random, size: int) -> bytes:
    unit = chance.choice((b" ", b"0,", b"[", b"{},", b'{"device_id":1},'))
    bomb = gzip.compress(b'{"devices":[' + unit * (chance.choice((20, 100)) * (1 << 20) // len(unit)), 1, mtime=0)
    if chance.random() < 0.3:
        bomb = gzip.compress(bomb, mtime=0)  # a bomb inside a bomb
    return bomb[:size]


TEXTS = {
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
    "duplicated keys": Shape(_duplicates),
    "many keys": Shape(lambda c, size: f"{{{_repeat(c, _KEYS, size - 2)}}}".encode()),
    "distinct texts": Shape(_units('"#"', '{"#":#}', '["#"]', '{"device_id":"#","k#":"#"}')),
    "an ignored field of distinct texts": Shape(_ignored_field('"#"', '{"#":"#"}', "#.5", '["#","x#"]')),
    "envelopes in envelopes": Shape(_envelopes),
    "quoted envelopes": Shape(_quoted_envelopes),
    "garbage": Shape(_garbage, carriers=("kinesis", "sqs", "http")),
    "gzip bombs": Shape(_bomb, carriers=("http",), gzipped=True),
    "over 10,000 heartbeats": Shape(_units('{"device_id":"hvac-00001","site_id":"n"}')),
    "numbers as text": Shape(_units(f'{{"device_id":"d","site_id":"s","cpu_pct":{_LONG},"last_upload_ts":{_LONG}}}')),
}
