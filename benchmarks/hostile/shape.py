"""One way to do harm: a maker of records, and how they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Beat = dict[str, Any]
Carrier = Literal["kinesis", "full shard", "sqs", "http", "direct"]
Maker = Callable[[Random, int], bytes]  # the same record for the same chance, of up to so many bytes

FLEET = 10_000  # devices that the database with foreign keys knows


def known(number: int) -> str:
    """Return the id of one of them."""
    return f"hvac-{number % FLEET:05}"


def beat(number: int, **fields: Any) -> Beat:
    """Return a heartbeat that every database takes."""
    return {"device_id": known(number), "site_id": "north", **fields}


@dataclass(frozen=True)
class Shape:
    """One way to do harm; on the database with foreign keys (`keyed`), on one without, or on both in turns."""

    make: Maker
    keyed: bool | None = None
    carriers: tuple[Carrier, ...] = ("kinesis", "full shard", "sqs", "http", "direct")
    gzipped: bool = False  # the body is said to be gzip
    slow: bool = False  # takes its time even where all is well: one in so many passes is enough
