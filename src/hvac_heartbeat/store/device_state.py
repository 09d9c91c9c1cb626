"""The table `device_state`: heartbeats in, verdicts out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import astuple
from psycopg.pq import Format

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.columns import FLOAT8, INT4, TEXT, TIMESTAMPTZ, Column
from hvac_heartbeat.store.connection import texts
from hvac_heartbeat.store.foreign_keys import ForeignKey, complaint, foreign_keys
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import StatementRefused, failure
from hvac_heartbeat.verdicts import Written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hvac_heartbeat.heartbeat import Heartbeat
    from hvac_heartbeat.store.database import Database

# In the order of a heartbeat's fields, and of the parameters of `heartbeats` and `heartbeat` in queries.sql.
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
_ALL_BINARY = [Format.BINARY] * len(_COLUMNS)
_BLOCK = 512  # heartbeats that are packed at a time, see Column

_NEW_DEVICE = ("device_id", "is a device never seen before, and new devices are not accepted")
_MOST_SUSPECTS = 10_000  # as many as a batch has devices
_LOOK_LASTS_S = 60.0  # a key that somebody drops goes on refusing for no longer than that
_FOREIGN_KEY_VIOLATION = "23503"  # PostgreSQL manual, appendix A
_SYNTAX_OR_ACCESS = "42"
_OF_A_ROW = ("22", "23")


class DeviceState:
    """Implements `writing.Store` with one statement a batch."""

    def __init__(self, database: Database, *, new_devices: bool = True) -> None:
        """Take the container's database, and whether a device never seen before may create a row."""
        self._database = database
        self._new_devices = new_devices
        self._foreseen: tuple[ForeignKey, ...] = ()
        self._met: dict[str, tuple[str, ...]] = {}  # the foreign keys that have refused a row, with their columns
        self._looked_at = 0.0
        self._suspects: dict[str, None] = {}  # devices refused for what nobody can foresee, the longest known first
        self._compose()

    def write(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        """Write the batch in one round trip; where the database refuses a row, find it and write the others.

        Raises:
            StoreUnavailable: when none of them could be written and all are worth a retry.
        """
        # One refused row fails its whole statement, so devices that were refused before go apart, one by one.
        apart = [h for h in heartbeats if h.device_id in self._suspects] if self._suspects else []
        if not apart:
            return self._write(heartbeats, deadline)
        rest = [h for h in heartbeats if h.device_id not in self._suspects]
        written = self._write_parts([rest] * bool(rest) + [[h] for h in apart], deadline)
        for heartbeat in apart:
            if heartbeat.device_id not in written.rejected and heartbeat.device_id not in written.failed:
                self._suspects.pop(heartbeat.device_id, None)  # newer suspects may have pushed it out meanwhile
        return written

    def _write(self, heartbeats: Sequence[Heartbeat], deadline: float, tries: int = 2) -> Written:
        try:
            written = self._write_once(heartbeats, deadline)
        except StatementRefused as refused:
            # Foreseen from now on, or foreseen already and the parent vanished after the look.
            if tries and self._foresees(refused, deadline):
                return self._write(heartbeats, deadline, tries - 1)
            if len(heartbeats) == 1:
                return self._reject(heartbeats[0], refused)
        except StoreUnavailable as unavailable:
            # Somebody changed the parents, or our rights on them, since they were looked up.
            if not (self._foreseen and (unavailable.sqlstate or "").startswith(_SYNTAX_OR_ACCESS)):
                raise
            self._foreseen, self._met = (), {}
            self._compose()
            return self._write(heartbeats, deadline, tries)
        else:
            if written.rejected and self._foresees_otherwise(deadline):
                return self._write(heartbeats, deadline, tries)
            return written
        middle = len(heartbeats) // 2
        return self._write_parts([heartbeats[:middle], heartbeats[middle:]], deadline)

    def _write_once(self, heartbeats: Sequence[Heartbeat], deadline: float) -> Written:
        try:
            if len(heartbeats) == 1:
                answer = self._database.execute(self._upsert_one, _as_text(heartbeats[0]), None, deadline)
            else:
                answer = self._database.execute(self._upsert, _packed(heartbeats), _ALL_BINARY, deadline)
        except StatementRefused as refused:
            if refused.sqlstate.startswith(_OF_A_ROW):
                raise
            raise failure(refused.sqlstate, where=refused.where, cause=refused.cause) from refused
        if answer.command_tuples == len(heartbeats) and not self._complaints:
            return Written()  # the rows need not be looked at
        refusals = {device_id: refusal[0] if refusal else None for device_id, *refusal in texts(answer)}
        return Written(
            outdated=frozenset(h.device_id for h in heartbeats if h.device_id not in refusals),
            rejected={device: self._complaints[name] for device, name in refusals.items() if name},
        )

    def _write_parts(self, parts: Sequence[Sequence[Heartbeat]], deadline: float) -> Written:
        outdated: set[str] = set()
        rejected: dict[str, tuple[str, str]] = {}
        failed: set[str] = set()
        failure: StoreUnavailable | None = None
        for part in parts:
            try:
                written = self._write(part, deadline)
            except StoreUnavailable as unavailable:
                failed.update(heartbeat.device_id for heartbeat in part)
                failure = failure or unavailable
            else:
                outdated |= written.outdated
                rejected |= written.rejected
                failed |= written.failed
                failure = failure or written.failure
        return Written(frozenset(outdated), rejected, frozenset(failed), failure)

    def _reject(self, heartbeat: Heartbeat, refused: StatementRefused) -> Written:
        self._suspects[heartbeat.device_id] = None
        if len(self._suspects) > _MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        if refused.constraint is None:
            reason = f"is refused by the database (SQLSTATE {refused.sqlstate})"
            return Written(rejected={heartbeat.device_id: (refused.column or "heartbeat", reason)})
        columns = (refused.column,) if refused.column else self._met.get(refused.constraint, ())
        return Written(rejected={heartbeat.device_id: complaint(refused.constraint, columns)})

    def _foresees(self, refused: StatementRefused, deadline: float) -> bool:
        """Say whether the statement asks for the parents of the key that refused it, looking the keys up if need be."""
        if refused.sqlstate != _FOREIGN_KEY_VIOLATION or refused.constraint is None:
            return False
        if refused.constraint not in self._met:
            self._look({*self._met, refused.constraint}, deadline)
        return any(key.constraint == refused.constraint for key in self._foreseen)

    def _foresees_otherwise(self, deadline: float) -> bool:
        """Say whether the keys have changed since they were looked up, looking again where that is long ago."""
        if not self._foreseen or time.monotonic() < self._looked_at + _LOOK_LASTS_S:
            return False
        before = self._foreseen
        self._look(self._met, deadline)
        return self._foreseen != before

    def _look(self, constraints: Iterable[str], deadline: float) -> None:
        """Foresee these foreign keys as the catalogue has them now.

        Not those that have refused nobody: a trigger may make the parents in time.
        """
        found = {key.constraint: key for key in foreign_keys(self._database, deadline)}
        self._looked_at = time.monotonic()
        self._met = {name: found[name].columns if name in found else () for name in constraints}
        self._foreseen = tuple(key for name, key in found.items() if name in self._met and key.foreseeable)
        self._compose()

    def _compose(self) -> None:
        """Make the statements for what is foreseen: a batch and a batch of one."""
        self._complaints = {} if self._new_devices else {"new_device": _NEW_DEVICE}
        self._complaints |= {f"key_{place}": key.complaint for place, key in enumerate(self._foreseen)}
        self._upsert = self._statement("heartbeats").encode()
        self._upsert_one = self._statement("heartbeat").encode()

    def _statement(self, rows: str) -> str:
        named = queries()
        if not self._complaints and rows == "heartbeat":
            return named["upsert"].format(rows=named["row"])
        if not self._complaints:
            upsert = named["upsert"].format(rows=named["rows"].format(heartbeats=named[rows]))
            return named["upsert_many"].format(upsert=upsert)
        keys = named[f"keys_of_{rows}"]
        refusals = [] if self._new_devices else [named["new_device"]]
        refusals += [key.refusal(f"key_{place}", keys) for place, key in enumerate(self._foreseen)]
        return named["sifted_upsert"].format(
            keys=keys,
            refusal=f"coalesce({', '.join(refusals)})",
            upsert=named["upsert"].format(
                rows=named["rows"].format(heartbeats=named["unrefused"].format(heartbeats=named[rows]))
            ),
        )


def _as_text(heartbeat: Heartbeat) -> list[bytes | None]:
    # In UTC, because PostgreSQL takes no offset of 16 hours, which a device may well send.
    return [
        None if value is None else str(value.astimezone(UTC) if isinstance(value, datetime) else value).encode()
        for value in astuple(heartbeat)
    ]


def _packed(heartbeats: Sequence[Heartbeat]) -> list[bytes | None]:
    columns = [Column(oid) for _, oid in _COLUMNS]
    for start in range(0, len(heartbeats), _BLOCK):
        # By the block also because a tuple for every heartbeat would set the garbage collector to work on all of them.
        rows = map(astuple, heartbeats[start : start + _BLOCK])
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.add(values)
    return [column.packed() for column in columns]
