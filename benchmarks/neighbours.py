"""What ten strangers cost their batch, and what a field to be ignored in every heartbeat costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.peers.product import Handler
from benchmarks.report import Bars, Result, Target
from benchmarks.timing import race

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers import Peer
    from benchmarks.server import Database, Server

SIZE = 1_000
STRANGERS = 10
ROUNDS = 100
# What a fleet's table carries in the field: devices and sites in tables of their own.
PARENTS = """
CREATE TABLE devices (device_id TEXT PRIMARY KEY);
CREATE TABLE sites (site_id TEXT PRIMARY KEY);
INSERT INTO devices SELECT 'hvac-unit-' || lpad(number::text, 7, '0') FROM generate_series(0, 9999) AS number;
INSERT INTO sites SELECT 'building-' || lpad(number::text, 5, '0') FROM generate_series(0, 9999) AS number;
ALTER TABLE device_state ADD FOREIGN KEY (device_id) REFERENCES devices (device_id);
ALTER TABLE device_state ADD FOREIGN KEY (site_id) REFERENCES sites (site_id);
ALTER TABLE device_state SET (fillfactor = 70, autovacuum_enabled = off);
"""


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Write clean batches and their bad neighbours in turns, on a table with foreign keys and on one without."""
    result = Result("neighbours")
    rounds = 3 if quick else ROUNDS
    clean = fleet.heartbeats(range(SIZE))
    strangers = clean[STRANGERS:] + fleet.heartbeats(range(900_000, 900_000 + STRANGERS))
    with server.database(schema=fleet.TABLE_AND_VIEW + PARENTS) as database:
        keyed = _run(
            database, rounds, lambda share: progress("strangers", share / 2), _events(clean, strangers, "ten refused")
        )
        result.circumstances = database.circumstances | {"batch": SIZE, "refused": STRANGERS}
    noisy = [body | {"status": "rebooting"} for body in clean]
    worse = [body | {"cpu_pct": "n/a", "last_upload_ts": "yesterday", "queue_depth": -1} for body in noisy]
    events = _events(clean, noisy, "a field ignored in each") | {"four fields ignored in each": fleet.event(worse)}
    with server.database() as database:
        database.tune("ALTER TABLE device_state SET (fillfactor = 70, autovacuum_enabled = off)")
        plain = _run(database, rounds, lambda share: progress("ignored fields", 0.5 + share / 2), events)
    result.tables = {"foreign keys to devices and sites": keyed, "no foreign keys": plain}
    for rows, limits in ((keyed, (1.5,)), (plain, (2.5, 3.0))):
        for row, limit in zip(rows[1:], limits, strict=True):
            figure = row["median_ms"] / rows[0]["median_ms"]
            result.targets.append(Target(f"{row['contestant']}: time / clean batch", round(figure, 3), limit))
    dead = keyed[1]["dead_tuples"] / keyed[0]["dead_tuples"]
    result.targets.insert(1, Target("ten refused: dead tuples / clean batch", round(dead, 3), 1.5))
    result.bars = [
        Bars(title, "ms, median of a batch of 1,000", {row["contestant"]: row["median_ms"] for row in rows})
        for title, rows in result.tables.items()
    ]
    return result


def _events(clean: list[fleet.Body], bad: list[fleet.Body], name: str) -> dict[str, dict[str, Any]]:
    return {"clean": fleet.event(clean), name: fleet.event(bad)}


def _run(
    database: Database, rounds: int, progress: Callable[[float], None], events: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    fleet.populate(database.admin, SIZE)
    dead = {name: _dead_tuples(database, event, rounds) for name, event in events.items()}
    peers: dict[str, Callable[[], Peer]] = {
        name: lambda name=name, event=event: Handler(name, event)  # type: ignore[misc]
        for name, event in events.items()
    }

    def tidy() -> None:
        database.admin.execute("VACUUM device_state")

    laps = race(
        database, peers, {}, seconds=rounds * 0.02 * len(peers), progress=progress, at_least=rounds, between=tidy
    )
    rows = [lap.row(SIZE) for lap in laps.values()]
    return [row | {"dead_tuples": dead[row["contestant"]]} for row in rows]


def _dead_tuples(database: Database, event: dict[str, Any], rounds: int) -> int:
    """Count the row versions that a batch leaves behind, once it has been sent many times."""
    handler = Handler()
    for _ in range(rounds):
        handler.write(event)
    before = _versions(database, handler)
    handler.write(event)
    left = _versions(database, handler) - before
    handler.close()
    return left


def _versions(database: Database, handler: Handler) -> int:
    # Every update leaves its old version dead, and an insert that is rolled back leaves itself.
    handler.flush_statistics()
    database.admin.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT n_tup_upd + n_tup_ins FROM pg_stat_user_tables WHERE relname = 'device_state'"
    return int(database.value(query))
