"""What a trigger takes out of its envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

RECORD_LIMIT = 10_000  # heartbeats


class Binding(msgspec.Struct, frozen=True):
    """Whose heartbeats a record may hold, by the envelope's own knowledge; None binds nothing.

    With `outranks` the envelope's word replaces the payload's (an IoT topic); without it the payload may leave the
    field out but not contradict it (an authorizer's claim).
    """

    device_id: str | None = None
    site_id: str | None = None
    outranks: bool = False


class Record(msgspec.Struct):
    """What a trigger takes out of its envelope: a decoded body with one or several heartbeats.

    `id` names the record to the trigger and in the log (message id; shard and sequence number; topic, partition and
    offset). `received_at` is the envelope's clock. `own_clock` says that the body may carry a `received_at` of AWS's
    making (IoT rules and direct events, never an HTTP body). `undecodable` is the reason why there is no body.
    """

    id: str
    body: object = None
    received_at: datetime | None = None
    own_clock: bool = False
    binding: Binding | None = None
    undecodable: str | None = None
