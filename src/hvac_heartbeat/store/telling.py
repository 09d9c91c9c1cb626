"""The sweep and its outbox, where the database has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hvac_heartbeat.store.connection import array, texts
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hvac_heartbeat.store.database import Database

STATEMENTS: Final = Path(__file__).with_suffix(".sql")
LEASED_AT_ONCE: Final = 10  # as many as a slow channel takes in the time of a lease
LEASE_S: Final = 60.0  # as lease_messages() has it


class Swept(msgspec.Struct, frozen=True):
    """What a sweep found and did; all zero where it was skipped, because another one was running."""

    is_skipped: bool
    devices: int
    stale: int
    messages: int
    is_fleet_silent: bool


class Message(msgspec.Struct, frozen=True):
    """A message that we have leased: nobody else delivers it for a minute. Its body is docs/messages.schema.json."""

    id: int
    dedup_id: str
    kind: str
    body: dict[str, Any]
    delivered_to: frozenset[str]


class Delivery(msgspec.Struct):
    """Which channels have a message now, and whether one of them failed."""

    message: Message
    channels: list[str]
    is_failed: bool = False


class Telling:
    """Sweeps, and keeps the outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_there = False

    def is_there(self, deadline: float) -> bool:
        """Whether the database can tell; once it can, it is not asked again. Raises StoreUnavailable."""
        if not self._is_there:
            [[found]] = self._database.run(queries(STATEMENTS)["can_tell"], deadline)
            self._is_there = found == "t"
        return self._is_there

    def sweep(self, unreachable: tuple[datetime, datetime] | None, canary: str | None, deadline: float) -> Swept:
        """Sweep; `unreachable` is from the first to the last time that the database could not be reached.

        Raises:
            StoreUnavailable: nothing was written, and the next sweep does the same work.
        """
        since = None if unreachable is None else f"[{unreachable[0].isoformat()},{unreachable[1].isoformat()}]".encode()
        [row] = self._send("sweep", (since, canary.encode() if canary else None), deadline)
        skipped, devices, stale, messages, is_fleet_silent = row
        return Swept(skipped == "t", int(devices), int(stale), int(messages), is_fleet_silent == "t")

    def lease(self, channels: Sequence[str], deadline: float) -> list[Message]:
        """Take some messages that one of the channels has not got. Raises StoreUnavailable."""
        rows = self._send("lease_messages", (array(channels), str(LEASED_AT_ONCE).encode()), deadline)
        return [
            Message(int(row[0]), row[1], row[2], msgspec.json.decode(row[3]), frozenset(msgspec.json.decode(row[4])))
            for row in sorted(rows, key=lambda row: int(row[0]))
        ]

    def note(self, deliveries: Sequence[Delivery], deadline: float) -> None:
        """Write down what became of leased messages. Raises StoreUnavailable: they are then delivered again."""
        ids = array([delivery.message.id for delivery in deliveries])
        failed = array([delivery.is_failed for delivery in deliveries])
        got = msgspec.json.encode([delivery.channels for delivery in deliveries])
        self._send("note_deliveries", (ids, got, failed), deadline)

    def _send(self, statement: str, parameters: Sequence[bytes | None], deadline: float) -> list[list[str]]:
        return texts(self._database.execute(queries(STATEMENTS)[statement].encode(), parameters, deadline))
