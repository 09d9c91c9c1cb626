"""The table `device_state`: heartbeats in, one statement a batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import astuple

from hvac_heartbeat.errors import BatchRefused
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.store.connection import texts
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import StatementRefused, failure as failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hvac_heartbeat.store.database import Database

_NEW_DEVICE: Final = Complaint("device_id", "is a device never seen before, and new devices are not accepted")
_WRITTEN_BY_US: Final = {*Heartbeat.__struct_fields__, "last_seen_ts", "updated_at"}
_NOT_NULL: Final = "23502"  # PostgreSQL manual, appendix A
_AT_FAULT: Final = ("22", "23")  # the row's value, or a constraint of the table

_encode = msgspec.json.Encoder().encode


class DeviceState:
    """Implements `writing.Store` with one statement a batch."""

    def __init__(self, database: Database, *, new_devices: bool = True) -> None:
        self._database = database
        named = queries()
        rows = named["rows"]
        if new_devices:
            upsert = named["upsert"].format(rows=rows.format(heartbeats=named["heartbeats"]))
            self._upsert_one: bytes | None = named["upsert"].format(rows=named["row"]).encode()
            self._upsert = named["upsert_many"].format(upsert=upsert).encode()
        else:
            upsert = named["upsert"].format(rows=rows.format(heartbeats=named["known_heartbeats"]))
            self._upsert_one = None
            self._upsert = named["upsert_known"].format(heartbeats=named["heartbeats"], upsert=upsert).encode()

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        """Write the batch in one round trip, all of it or nothing.

        Raises:
            BatchRefused: the database refuses one of the rows.
            StoreUnavailable: anything else; the batch is worth a retry.
        """
        try:
            return self._write(heartbeats, deadline)
        except StatementRefused as refused:
            failure = failure_of(refused.sqlstate, where=refused.where, cause=refused.cause)
            if refused.sqlstate == _NOT_NULL and refused.column not in _WRITTEN_BY_US:
                # No heartbeat could ever satisfy it, so it is not the row's fault, and no half of the batch is better.
                raise failure from refused
            is_permanent = refused.sqlstate.startswith(_AT_FAULT)
            raise BatchRefused(_complaint(refused), None if is_permanent else failure) from refused

    def _write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> BatchResult:
        if len(heartbeats) == 1 and self._upsert_one is not None:
            answer = self._database.execute(self._upsert_one, _as_text(heartbeats[0]), None, deadline)
            is_outdated = not answer.command_tuples
            return BatchResult(frozenset([heartbeats[0].device_id])) if is_outdated else BatchResult()
        answer = self._database.execute(self._upsert, _as_arrays(heartbeats), None, deadline)
        if answer.command_tuples == len(heartbeats) and self._upsert_one is not None:
            return BatchResult()  # the rows need not be looked at
        rows = dict(texts(answer))
        rejected = {device_id: _NEW_DEVICE for device_id, verdict in rows.items() if verdict == "new"}
        outdated = frozenset(one.device_id for one in heartbeats if one.device_id not in rows)
        if len(rows) + len(outdated) == len(heartbeats):
            return BatchResult(outdated, rejected)
        # The table has devices in another spelling than ours (citext, char(n)), so that it is not known which are
        # outdated. Halves that are all written, or not at all, tell; to repeat a write is harmless.
        if len(heartbeats) == 1:
            return BatchResult()
        middle = len(heartbeats) // 2
        halves = [self._write(half, deadline) for half in (heartbeats[:middle], heartbeats[middle:])]
        return BatchResult(halves[0].outdated | halves[1].outdated, halves[0].rejected | halves[1].rejected)


def _complaint(refused: StatementRefused) -> Complaint:
    if refused.constraint is None:
        reason = f"is refused by the database (SQLSTATE {refused.sqlstate})"
    else:
        reason = f"violates the database's constraint {refused.constraint}"
    return Complaint(refused.column or "heartbeat", reason)


def _as_text(heartbeat: Heartbeat) -> list[bytes | None]:
    return [
        None if value is None else str(value.astimezone(UTC) if isinstance(value, datetime) else value).encode()
        for value in astuple(heartbeat)
    ]


def _as_arrays(heartbeats: Sequence[Heartbeat]) -> list[bytes | None]:
    """Return each field of the batch as an array in PostgreSQL's text form; None where every value is."""
    return [_array(values) for values in zip(*map(astuple, heartbeats), strict=True)]


def _array(values: tuple[Any, ...]) -> bytes | None:
    """Return an array literal, which is JSON's but for the braces (PostgreSQL manual, "Array Input and Output").

    Both quote text with `"` and escape `"` and `\\` with `\\`. JSON escapes control characters in other ways, and no
    heartbeat has any (`fields`). Times go in UTC, because PostgreSQL takes no offset of 16 hours.
    """
    present = values[0]
    if present is None:
        present = next((value for value in values if value is not None), None)
        if present is None:
            return None
    if isinstance(present, datetime):
        values = tuple(value and value.astimezone(UTC) for value in values)
    return b"{" + _encode(values)[1:-1] + b"}"
