"""1 to 10,000 heartbeats through `lambda_handler`, beside its peers and its floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.peers.batches import MultiRowValues, SqlAlchemyCore
from benchmarks.peers.limits import BareDriver, ServerSideFloor
from benchmarks.peers.product import Handler
from benchmarks.peers.rows import ConnectionPerCall, ExecuteMany, WarmConnection
from benchmarks.report import Bars, Result, Target
from benchmarks.timing import race

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers import Peer
    from benchmarks.server import Database, Server

FLEET = 20_000
SECONDS = {1: 8, 10: 4, 100: 4, 1_000: 10, 10_000: 20}
FILLFACTOR = "ALTER TABLE device_state SET (fillfactor = 70, autovacuum_enabled = off)"
# synchronous_commit = off takes the disk's wait out of everybody's time: the stricter of the two for a ratio.
COMMITS = {True: "commits wait for the disk", False: "commits do not wait (synchronous_commit off)"}


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Race all contestants at every size, once with commits that wait for the disk and once without."""
    result = Result("ingest")
    sizes = (1, 10, 100) if quick else tuple(SECONDS)
    steps = len(sizes) * len(COMMITS)
    for index, (waits, title) in enumerate(COMMITS.items()):
        with server.database(synchronous_commit=waits) as database:
            database.tune(FILLFACTOR)
            fleet.populate(database.admin, FLEET)
            rows: list[dict[str, Any]] = []
            for step, size in enumerate(sizes, start=index * len(sizes)):
                rows += _race(
                    database,
                    size,
                    0.3 if quick else SECONDS[size],
                    lambda share, step=step, size=size: progress(f"{size:,} heartbeats", (step + share) / steps),  # type: ignore[misc]
                )
            result.circumstances |= database.circumstances | {"synchronous_commit": "on, then off", "fleet": FLEET}
        result.tables[title] = rows
        _judge(result, rows, title)
    return result


def _race(database: Database, size: int, seconds: float, progress: Callable[[float], None]) -> list[dict[str, Any]]:
    event = fleet.event(fleet.heartbeats(fleet.sample(size, FLEET)))
    database.admin.execute("VACUUM (ANALYZE) device_state")
    peers: dict[str, Callable[[], Peer]] = {
        "handler": Handler,
        "floor": lambda: ServerSideFloor(database.conninfo, event),
        "new": lambda: ConnectionPerCall(database.conninfo),
        "warm": lambda: WarmConnection(database.conninfo),
        "many": lambda: ExecuteMany(database.conninfo),
        "core": lambda: SqlAlchemyCore(database.conninfo),
        "values": lambda: MultiRowValues(database.conninfo),
    }
    if size == 1:
        peers["bare"] = lambda: BareDriver(database.conninfo, event)

    def tidy() -> None:
        if size >= 1_000:
            database.admin.execute("VACUUM device_state")

    laps = race(database, peers, event, seconds=seconds, progress=progress, between=tidy)
    rows = [lap.row(size) for lap in laps.values()]
    for row in rows:
        row["x_handler"] = round(row["median_ms"] / rows[0]["median_ms"], 2)
    return rows


def _judge(result: Result, rows: list[dict[str, Any]], title: str) -> None:
    by_key = {(row["size"], row["contestant"]): row for row in rows}
    sizes = sorted({size for size, _ in by_key})
    how = title.split(" (", maxsplit=1)[0]

    def judge(size: int, one: type[Peer], other: type[Peer], limit: float, *, cpu: bool = False) -> None:
        """Hold the ratio of two contestants, one of which is the handler, against its limit."""
        above, below = (by_key[size, peer.name]["cpu_ms" if cpu else "median_ms"] for peer in (one, other))
        what = f"{size:,} heartbeat{'s' * (size > 1)}, {how}, {'CPU' if cpu else 'time'}: {one.name} / {other.name}"
        ratio = None if above is None else round(above / below, 3)
        note = "the server's processes are out of sight" if ratio is None else ""
        result.targets.append(Target(what, ratio, limit, at_least=other is Handler, note=note))

    judge(1, Handler, BareDriver, 1.2)
    judge(1, Handler, BareDriver, 1.2, cpu=True)
    judge(1, ConnectionPerCall, Handler, 5)
    if 1_000 in sizes:
        client = by_key[1_000, Handler.name]["client_cpu_ms"]
        result.targets.append(Target(f"1,000 heartbeats, {how}: client CPU, ms", client, 2.5))
        judge(1_000, Handler, ServerSideFloor, 1.5, cpu=True)
        judge(1_000, ConnectionPerCall, Handler, 10)
    if 10_000 in sizes:
        judge(10_000, Handler, ServerSideFloor, 1.45, cpu=True)
    for size in sizes:
        if size in (1, 1_000, 10_000):
            values = {row["contestant"]: row["median_ms"] for row in rows if row["size"] == size}
            result.bars.append(Bars(f"{size:,} heartbeats, {how}", "ms, median", values, log=True))
