"""The forms in which a batch can reach the upsert: what docs/decisions/0002 and the one-row statement rest on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple

from benchmarks import fleet
from benchmarks.ingest import FILLFACTOR, FLEET
from benchmarks.report import Bars, Result
from benchmarks.timing import race
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store import device_state
from hvac_heartbeat.store.connection import connect
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.timeout import BoundedConnection

if TYPE_CHECKING:
    from benchmarks.peers import Peer
    from benchmarks.server import Server

SECONDS = {1: 8, 1_000: 16, 10_000: 30}
NAMES = Heartbeat.__struct_fields__  # the order of the statement's parameters
TYPES = ("text", "text", "timestamptz", "text", "text", "float8", "float8", "int", "int", "timestamptz")
COLUMNS = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, TYPES, strict=True))

JSON_ROWS = f"SELECT * FROM json_to_recordset($1::json) AS batch({COLUMNS})"  # noqa: S608 - names of ours
FROM_ROWS = (
    f"SELECT * FROM unnest({', '.join(f'${at}::{kind}[]' for at, kind in enumerate(TYPES, 1))}) "  # noqa: S608 - as above
    f"AS batch({', '.join(NAMES)})"
)

COUNTED = "WITH written AS ({}) SELECT count(*) FROM written"

Send = Callable[[BoundedConnection, bytes, Sequence[Heartbeat]], object]


class Form:
    """The upsert with its rows in one form, from heartbeats that have been read to the server's answer."""

    reconnects = False

    def __init__(self, name: str, statement: str, send: Send, heartbeats: Sequence[Heartbeat]) -> None:
        self.name = name
        self._connection = connect(Settings.from_environment(os.environ))
        self._statement = statement.encode()
        self._send = send
        self._heartbeats = heartbeats

    def write(self, event: dict[str, Any]) -> Any:  # noqa: ARG002 - its heartbeats have been read
        """Make the parameters, send the statement, read the answer."""
        return self._send(self._connection, self._statement, self._heartbeats)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def forms(size: int) -> dict[str, tuple[str, Send]]:
    """Return the statement of every form and how it is sent, by name."""
    named = queries()
    upsert = named["upsert_many"].format(upsert=named["upsert"]).format(rows=named["rows"])
    ours = upsert.format(heartbeats=named["heartbeats"])
    found: dict[str, tuple[str, Send]] = {
        "array literals, unnest in the select list": (ours, _literals),
        "array literals, unnest in FROM": (upsert.format(heartbeats=FROM_ROWS), _literals),
        "the driver's own arrays": (ours, _lists),
        "one JSON parameter": (upsert.format(heartbeats=JSON_ROWS), _json),
        "array literals, nothing returned": (ours.replace("RETURNING device_id", ""), _literals),
        "array literals, count returned": (COUNTED.format(ours), _literals),
    }
    if size == 1:
        found["plain values"] = (named["upsert"].format(rows=named["row"]), _plain)
        found["plain values, through the driver's cursor"] = (named["upsert"].format(rows=named["row"]), _cursor)
    return found


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Race the forms at one, a thousand and ten thousand heartbeats."""
    result = Result("forms")
    sizes = (1, 1_000) if quick else tuple(SECONDS)
    rows: list[dict[str, Any]] = []
    with server.database(synchronous_commit=False) as database:
        result.circumstances = database.circumstances | {"synchronous_commit": "off", "fleet": FLEET}
        database.tune(FILLFACTOR)
        fleet.populate(database.admin, FLEET)
        for step, size in enumerate(sizes):
            bodies = fleet.heartbeats(sorted(fleet.sample(size, FLEET)))
            heartbeats = msgspec.convert(bodies, list[Heartbeat])
            peers = {name: _starter(name, form, heartbeats) for name, form in forms(size).items()}

            def tick(share: float, step: int = step, size: int = size) -> None:
                progress(f"{size:,} heartbeats", (step + share) / len(sizes))

            def tidy(size: int = size) -> None:
                if size > 1:
                    database.admin.execute("VACUUM device_state")

            seconds = 0.5 if quick else SECONDS[size]
            laps = race(database, peers, {}, seconds=seconds, progress=tick, between=tidy)
            found = [lap.row(size) for lap in laps.values()]
            rows += found
            values = {row["contestant"]: row["median_ms"] for row in found}
            result.bars.append(Bars(f"{size:,} heartbeats, commits do not wait", "ms, median", values))
    result.tables["from heartbeats that have been read to the answer"] = rows
    return result


def _starter(name: str, form: tuple[str, Send], heartbeats: Sequence[Heartbeat]) -> Callable[[], Peer]:
    return lambda: Form(name, *form, heartbeats)


def _literals(connection: BoundedConnection, statement: bytes, heartbeats: Sequence[Heartbeat]) -> object:
    return connection.send(statement, device_state._as_arrays(heartbeats))  # noqa: SLF001 - the product's own


def _json(connection: BoundedConnection, statement: bytes, heartbeats: Sequence[Heartbeat]) -> object:
    return connection.send(statement, [msgspec.json.encode(heartbeats)])


def _lists(connection: BoundedConnection, statement: bytes, heartbeats: Sequence[Heartbeat]) -> object:
    columns = [[getattr(heartbeat, name) for heartbeat in heartbeats] for name in NAMES]
    return connection.execute(statement, columns).fetchall()


def _plain(connection: BoundedConnection, statement: bytes, heartbeats: Sequence[Heartbeat]) -> object:
    return connection.send(statement, device_state._as_text(heartbeats[0]))  # noqa: SLF001 - the product's own


def _cursor(connection: BoundedConnection, statement: bytes, heartbeats: Sequence[Heartbeat]) -> object:
    return connection.execute(statement, astuple(heartbeats[0]))
