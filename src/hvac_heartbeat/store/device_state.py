"""The table `device_state`: heartbeats in, verdicts out."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec.structs import astuple

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.ingest import Written
from hvac_heartbeat.store.columns import FLOAT8, INT4, TEXT, TIMESTAMPTZ, pack_column
from hvac_heartbeat.store.connection import Packed
from hvac_heartbeat.store.failures import StatementRefused
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hvac_heartbeat.store.database import Database

# The order of the parameters of `heartbeats` and `heartbeat` in queries.sql.
_COLUMNS = (
    ("device_id", TEXT),
    ("site_id", TEXT),
    ("received_at", TIMESTAMPTZ),
    ("status", TEXT),
    ("agent_version", TEXT),
    ("cpu_pct", FLOAT8),
    ("disk_free_gb", FLOAT8),
    ("queue_depth", INT4),
    ("poll_interval_s", INT4),
    ("last_upload_ts", TIMESTAMPTZ),
)
_PLACES = [(Heartbeat.__struct_fields__.index(name), oid) for name, oid in _COLUMNS]
_values = attrgetter(*(name for name, _ in _COLUMNS))

# What the refusals of queries.sql mean to the sender: the field and the reason.
_REFUSALS = {"new_device": ("device_id", "is a device never seen before, and new devices are not accepted")}


class DeviceState:
    """Implements `ingest.Store` with one statement a batch."""

    def __init__(self, database: Database, *, new_devices: bool = True) -> None:
        """Take the container's database, and whether a device never seen before may create a row."""
        self._database = database
        self._sifts = not new_devices
        self._upsert = _statement(queries(), "heartbeats", sifts=self._sifts)
        self._upsert_one = _statement(queries(), "heartbeat", sifts=self._sifts)

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        """Write the batch in one round trip; where the database refuses a row, find it and write the others.

        Raises:
            StoreUnavailable: when none of them could be written and all are worth a retry.
        """
        try:
            return self._write_once(heartbeats, deadline)
        except StatementRefused as refused:
            if len(heartbeats) == 1:
                return Written(rejected={heartbeats[0].device_id: _reason(refused)})
        return self._write_in_halves(heartbeats, deadline)

    def _write_once(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        if len(heartbeats) == 1:
            rows = self._database.run(self._upsert_one, _values(heartbeats[0]), deadline)
        else:
            rows = self._database.run(self._upsert, _parameters(heartbeats), deadline)
        if len(rows) == len(heartbeats) and not self._sifts:
            return Written()
        refusals = {device_id: refusal[0] if refusal else None for device_id, *refusal in rows}
        return Written(
            outdated=frozenset(h.device_id for h in heartbeats if h.device_id not in refusals),
            rejected={device: _REFUSALS[refusal] for device, refusal in refusals.items() if refusal is not None},
        )

    def _write_in_halves(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        middle = len(heartbeats) // 2
        parts = []
        for part in (heartbeats[:middle], heartbeats[middle:]):
            try:
                parts.append(self.write(part, deadline))
            except StoreUnavailable as failure:
                parts.append(Written(failed=frozenset(h.device_id for h in part), failure=failure))
        first, second = parts
        return Written(
            outdated=first.outdated | second.outdated,
            rejected={**first.rejected, **second.rejected},
            failed=first.failed | second.failed,
            failure=first.failure or second.failure,
        )


def _statement(named: Mapping[str, str], rows: str, *, sifts: bool) -> str:
    if not sifts:
        return named["upsert"].format(heartbeats=named[rows])
    return named["sifted_upsert"].format(
        heartbeats=named[rows],
        refusal=named["new_device"],
        upsert=named["upsert"].format(heartbeats=named["unrefused"]),
    )


def _parameters(heartbeats: Sequence[Heartbeat]) -> list[Packed | None]:
    columns = list(zip(*map(astuple, heartbeats), strict=True))
    packed = (pack_column(oid, columns[place]) for place, oid in _PLACES)
    return [None if column is None else Packed(column) for column in packed]


def _reason(refused: StatementRefused) -> tuple[str, str]:
    if refused.constraint is not None:
        return refused.column or "heartbeat", f"violates the database's constraint {refused.constraint}"
    return refused.column or "heartbeat", f"is refused by the database (SQLSTATE {refused.sqlstate})"
