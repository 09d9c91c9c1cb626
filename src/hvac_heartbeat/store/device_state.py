"""The table `device_state`: heartbeats in, one statement a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import astuple

from hvac_heartbeat.errors import BatchRefused
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.outcome import BatchResult, Complaint
from hvac_heartbeat.store.connection import array, texts
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.silence import Ledger
from hvac_heartbeat.store.sqlstates import StatementRefused

_NEW_DEVICE: Final = Complaint("device_id", "is a device never seen before, and new devices are not accepted")
_WRITTEN_BY_US: Final = {*Heartbeat.__struct_fields__, "last_seen_ts", "updated_at"} - {"received_at"}
_NOT_NULL: Final = "23502"  # PostgreSQL manual, appendix A
_AT_FAULT: Final = ("22", "23")  # the row's value, or a constraint of the table


class DeviceState:
    """Implements `writing.Store` with one statement a batch."""

    def __init__(self, database: Database, *, new_devices: bool = True) -> None:
        self._database = database
        self.note_late = Ledger(database).note_late
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
        """Write the batch in one round trip; raises as `writing.Store` says."""
        upsert_one = self._upsert_one if len(heartbeats) == 1 else None
        try:
            if upsert_one is not None:
                answer = self._database.execute(upsert_one, _as_text(heartbeats[0]), deadline)
            else:
                answer = self._database.execute(self._upsert, _as_arrays(heartbeats), deadline)
        except StatementRefused as refused:
            sqlstate = refused.sqlstate or ""
            if sqlstate == _NOT_NULL and refused.column not in _WRITTEN_BY_US:
                # No heartbeat could ever satisfy it, so it is not the row's fault, and no half of the batch is better.
                raise
            raise BatchRefused(_complaint(refused), None if sqlstate.startswith(_AT_FAULT) else refused) from refused
        if answer.command_tuples == len(heartbeats) and self._upsert_one is not None:
            return BatchResult()  # the rows need not be looked at
        rows = texts(answer)
        rejected = {device_id: _NEW_DEVICE for device_id, *verdict in rows if verdict == ["new"]}
        return BatchResult(_unanswered(heartbeats, {device_id for device_id, *_ in rows}), rejected)


def _unanswered(heartbeats: Sequence[Heartbeat], answered: set[str]) -> frozenset[str]:
    """Return the devices that the answer does not name, in whatever spelling: char(n) pads, citext keeps the first."""
    missing = [heartbeat.device_id for heartbeat in heartbeats if heartbeat.device_id not in answered]
    if len(missing) + len(answered) == len(heartbeats):
        return frozenset(missing)
    spelled = {_folded(device_id) for device_id in answered.difference(one.device_id for one in heartbeats)}
    return frozenset(device_id for device_id in missing if _folded(device_id) not in spelled)


def _folded(device_id: str) -> str:
    return device_id.rstrip().casefold()


def _complaint(refused: StatementRefused) -> Complaint:
    reason = f"is refused by the database (SQLSTATE {refused.sqlstate})"
    if refused.constraint is not None:
        reason = f"violates the database's constraint {refused.constraint}"
    return Complaint(refused.column or "heartbeat", reason)


def _as_text(heartbeat: Heartbeat) -> list[bytes | None]:
    """Return each field of one heartbeat in PostgreSQL's text form."""
    return [None if value is None else str(value).encode() for value in astuple(heartbeat)]


def _as_arrays(heartbeats: Sequence[Heartbeat]) -> list[bytes | None]:
    """Return each field of the batch as an array; None where every value is."""
    # Comprehensions, because attrgetter takes twice the time; and of two lists only the first difference is looked for.
    columns: tuple[Sequence[object], ...] = (
        [heartbeat.device_id for heartbeat in heartbeats],
        [heartbeat.site_id for heartbeat in heartbeats],
        [heartbeat.received_at for heartbeat in heartbeats],
        [heartbeat.status for heartbeat in heartbeats],
        [heartbeat.agent_version for heartbeat in heartbeats],
        [heartbeat.cpu_pct for heartbeat in heartbeats],
        [heartbeat.disk_free_gb for heartbeat in heartbeats],
        [heartbeat.queue_depth for heartbeat in heartbeats],
        [heartbeat.poll_interval_s for heartbeat in heartbeats],
        [heartbeat.last_upload_ts for heartbeat in heartbeats],
    )
    absent = [None] * len(heartbeats)
    return [None if values == absent else array(values) for values in columns]
