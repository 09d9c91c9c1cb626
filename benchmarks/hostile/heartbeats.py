"""Hostile records of up to 10,000 heartbeats: a parser looks at each, and a database may refuse each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.hostile.shape import Beat, Maker, Shape, beat

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MOST = 10_000  # heartbeats that a record may hold
STRANGERS = 50_000  # ids that no database knows are drawn from so many, so that some come again
_BAD = {
    "status": ["rebooting", 7, None, [], {}, "x" * 60],
    "agent_version": ["v" * 129, 1.5, [1], "a\0b", True],
    "cpu_pct": ["n/a", -1, "1e999", True, "", {}],
    "disk_free_gb": ["9" * 60, -0.5, [], "-"],
    "queue_depth": [2**31, -1, 0.5, "many", 10**30],
    "poll_interval_s": [0, "0", False, 2**40],
    "last_upload_ts": ["yesterday", "9999-99-99", 1e300, -1, "2" * 60, []],
}
_NOT_UTF8 = (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80")


def _beats(beat: Callable[[Random, int], Beat], *, exact: bool = False, ascii_only: bool = True) -> Maker:
    """Put as many heartbeats into the record as fit; each is made with its number."""

    def make(chance: Random, size: int) -> bytes:
        texts: list[str] = []
        size -= 20
        for number in range(MOST):
            text = json.dumps(beat(chance, number), ensure_ascii=ascii_only)
            size -= len(text.encode()) + 2
            if size < 0:
                break
            texts.append(text)
        if not exact and chance.random() < 0.3:
            texts = texts[: chance.randrange(len(texts)) + 1]
        return f'{{"devices": [{", ".join(texts)}]}}'.encode()

    return make


def _stranger(chance: Random, number: int) -> Beat:
    return beat(number, device_id=f"stranger-{chance.randrange(STRANGERS)}")


def _long_name(chance: Random, _: int) -> Beat:
    return beat(0, device_id=str(chance.random()) + "\U0001d518" * 230)


def _roaming(chance: Random, _: int) -> Beat:
    return beat(7, site_id=f"s{chance.randrange(STRANGERS)}")


def _half_strange(chance: Random, number: int) -> Beat:
    return _stranger(chance, number) if number % 2 else beat(number)


def _bad_fields(chance: Random, number: int) -> Beat:
    return beat(number, **{name: chance.choice(values) for name, values in _BAD.items()})


def _nul(chance: Random, number: int) -> Beat:
    field = chance.choice(("device_id", "site_id", "status", "agent_version"))
    return beat(number) | {field: f"a\0{number}"}


def _spoilt(spoil: Callable[[Random, bytes], bytes]) -> Maker:
    """Spoil a record of thousands of good heartbeats, so that it is read to the end before it is found out."""
    good = _beats(lambda _, number: beat(number, status="ready", cpu_pct=1.5), exact=True)

    def make(chance: Random, size: int) -> bytes:
        return spoil(chance, good(chance, size))[:size]

    return make


def _flip(chance: Random, text: bytes) -> bytes:
    flipped = bytearray(text)
    for _ in range(chance.choice((1, 10, 1_000))):
        flipped[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(flipped)


def _refused(beat: Callable[[Random, int], Beat]) -> Shape:
    return Shape(_beats(beat), keyed=True, slow=True)


HEARTBEATS = {
    "surrogates in every id": Shape(_beats(lambda _, number: beat(number) | {"device_id": f"\ud800{number}"})),
    "NUL in every heartbeat": Shape(_beats(_nul)),
    "invalid UTF-8": Shape(
        _spoilt(lambda c, text: text.replace(b"hvac-", c.choice(_NOT_UTF8))), carriers=("kinesis", "http")
    ),
    "flipped bytes": Shape(_spoilt(_flip), carriers=("kinesis", "sqs", "http")),
    "cut off": Shape(_spoilt(lambda chance, text: text[: -chance.randrange(1, 100)])),
    "raw control characters": Shape(_spoilt(lambda _, text: text.replace(b"ready", b"re\1dy"))),
    "a NaN at the end": Shape(_spoilt(lambda _, text: text[:-3] + b',"disk_free_gb":NaN}]}')),
    "another encoding": Shape(_spoilt(lambda _, text: text.decode().encode("utf-16")), carriers=("kinesis", "http")),
    "bad fields": Shape(_beats(_bad_fields)),
    "bad fields of strangers": _refused(lambda c, n: _bad_fields(c, n) | _stranger(c, n)),
    "strangers": _refused(_stranger),
    "strangers of long names": Shape(_beats(_long_name, ascii_only=False), keyed=True, slow=True),
    "half strangers": _refused(_half_strange),
    "one device at many sites": Shape(_beats(_roaming), keyed=False),
    "one device at many unknown sites": _refused(_roaming),
    "one stranger at many sites": _refused(lambda _, n: {"device_id": "nobody", "site_id": f"s{n}"}),
    "ids over varchar(50)": _refused(lambda _, n: beat(n) | {"device_id": f"{n:051}"}),
    "sites over varchar(50)": _refused(lambda _, n: beat(n) | {"site_id": f"{n:0100}"}),
    "versions over varchar(20)": _refused(lambda _, n: beat(n, agent_version="1.0." + "0" * 30)),
    "one device, many times": Shape(_beats(lambda c, n: beat(8, queue_depth=n, cpu_pct=c.random()))),
    "valid heartbeats": Shape(_beats(lambda c, n: beat(n, status="ready", cpu_pct=c.random()), exact=True)),
}
