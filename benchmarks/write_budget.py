"""What a heartbeat costs the disk: WAL, HOT updates and growth, over two hours of a fleet that reports every minute.

The hours pass as fast as the machine writes. What time would have done is done at the right minute: a checkpoint every
five (checkpoint_timeout), and a vacuum at the end of every minute (autovacuum_naptime) in which the dead rows have
passed the threshold of autovacuum, with the table's own settings or the server's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.peers.product import Handler
from benchmarks.report import Bars, Result, Target
from hvac_heartbeat.local.checkup.tuning import statement_to_tune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.server import Database, Server

FLEET = 10_000
BATCH = 1_000
MINUTES = 120
HOUR = 60
CHECKPOINT_MINUTES = 5
# What `hvac-heartbeat tune` does to a table that nobody has touched.
TUNED = statement_to_tune("device_state", []) or ""
HALF_FULL = TUNED + "; ALTER TABLE device_state SET (fillfactor = 50)"
INDEXES = """
CREATE INDEX ON device_state (site_id);
CREATE INDEX ON device_state (last_seen_ts DESC)
"""


@dataclass(frozen=True)
class Variant:
    """A table: what is done to the table, and whether it is rewritten afterwards."""

    name: str
    statement: str = ""
    rewritten: bool = True
    by_site: bool = False  # a batch holds whole sites, as gateways send them, and so all rows of a page


VARIANTS = (
    Variant("the table"),
    Variant("tuned, rewritten", TUNED),
    Variant("tuned, not rewritten", TUNED, rewritten=False),
    Variant("tuned, batches of whole sites", TUNED, by_site=True),
    Variant("tuned, fillfactor 50, batches of whole sites", HALF_FULL, by_site=True),
    Variant("indexes on site_id and last_seen_ts", INDEXES),
    Variant("indexes on both, tuned", INDEXES + ";" + TUNED),
)


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Let two hours pass over every variant of the table."""
    result = Result("write_budget")
    minutes, devices = (4, 1_000) if quick else (MINUTES, FLEET)
    rows: list[dict[str, Any]] = []
    shares: dict[str, list[float]] = {}
    for index, variant in enumerate(VARIANTS):

        def tick(share: float, index: int = index, variant: Variant = variant) -> None:
            progress(variant.name, (index + share) / len(VARIANTS))

        with server.database() as database:
            seen = list(_minutes(database, variant, minutes, devices, tick))
            result.circumstances |= database.circumstances
        rows.append(_row(variant, seen, minutes, devices))
        shares[variant.name] = [round(minute["hot"] / minute["updates"], 4) for minute in seen]
    result.circumstances |= {"fleet": devices, "batch": min(BATCH, devices), "minutes": minutes}
    result.tables["per heartbeat"] = rows
    result.tables["HOT share in the first minutes"] = [
        {"table": name} | {f"minute {minute + 1}": share[minute] for minute in range(min(10, minutes))}
        for name, share in shares.items()
    ]
    _judge(result, rows, shares)
    return result


def _minutes(
    database: Database, variant: Variant, minutes: int, devices: int, tick: Callable[[float], None]
) -> Iterator[dict[str, int]]:
    _prepare(database, variant, devices)
    handler = Handler()
    bodies = fleet.heartbeats(range(devices))
    chance = random.Random(3)  # noqa: S311 - the order of arrival
    try:
        for minute in range(minutes):
            if minute % CHECKPOINT_MINUTES == 0:
                database.admin.execute("CHECKPOINT")
            before = _counters(database)
            _shuffle(bodies, variant, chance)
            for start in range(0, devices, BATCH):
                handler.write(fleet.event(bodies[start : start + BATCH]))
            handler.flush_statistics()
            after = _counters(database)
            found = {name: after[name] - before[name] for name in ("hot", "updates")} | _wal(database, before, after)
            vacuumed = _vacuum_if_due(database)
            yield found | {"vacuumed": vacuumed, "table": after["table"], "indexes": after["indexes"]}
            tick((minute + 1) / minutes)
    finally:
        handler.close()


def _shuffle(bodies: list[fleet.Body], variant: Variant, chance: random.Random) -> None:
    if not variant.by_site:
        chance.shuffle(bodies)
        return
    order = {site: chance.random() for site in sorted({body["site_id"] for body in bodies})}
    bodies.sort(key=lambda body: (order[body["site_id"]], body["device_id"]))


def _prepare(database: Database, variant: Variant, devices: int) -> None:
    admin = database.admin
    admin.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    fleet.populate(admin, devices)
    for statement in filter(str.strip, variant.statement.split(";")):
        admin.execute(statement.encode())
    admin.execute("ALTER TABLE device_state SET (autovacuum_enabled = off)")  # ours comes at its minute
    if variant.rewritten:
        admin.execute("VACUUM (FULL, ANALYZE) device_state")
    admin.execute("CHECKPOINT")


def _counters(database: Database) -> dict[str, int]:
    row = database.admin.execute(
        """
        SELECT pg_stat_force_next_flush(), n_tup_upd, n_tup_hot_upd, n_dead_tup,
               pg_relation_size(relid), pg_indexes_size(relid), pg_current_wal_flush_lsn() - '0/0'::pg_lsn
          FROM pg_stat_user_tables WHERE relname = 'device_state'
        """
    ).fetchone()
    if row is None:
        raise LookupError("device_state")
    return dict(zip(("updates", "hot", "dead", "table", "indexes", "lsn"), map(int, row[1:]), strict=True))


def _wal(database: Database, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    row = database.admin.execute(
        "SELECT sum(record_size), sum(fpi_size) FROM pg_get_wal_stats('0/0'::pg_lsn + %s, '0/0'::pg_lsn + %s)",
        [before["lsn"], after["lsn"]],
    ).fetchone()
    records, images = row or (0, 0)
    return {"wal": int(records), "images": int(images)}


def _vacuum_if_due(database: Database) -> int:
    """Vacuum when autovacuum would have (PostgreSQL manual, The Autovacuum Daemon); return whether it was due."""
    due = database.value(
        """
        SELECT n_dead_tup > coalesce((options ->> 'autovacuum_vacuum_threshold')::float,
                                     current_setting('autovacuum_vacuum_threshold')::float)
                          + coalesce((options ->> 'autovacuum_vacuum_scale_factor')::float,
                                     current_setting('autovacuum_vacuum_scale_factor')::float) * reltuples
          FROM pg_stat_user_tables
          JOIN pg_class ON pg_class.oid = relid,
               LATERAL (SELECT jsonb_object_agg(option_name, option_value) AS options
                          FROM pg_options_to_table(reloptions)) AS settings
         WHERE pg_class.relname = 'device_state'
        """
    )
    if due:
        database.admin.execute("VACUUM (ANALYZE) device_state")
    return int(due)


def _row(variant: Variant, seen: list[dict[str, int]], minutes: int, devices: int) -> dict[str, Any]:
    hour = min(HOUR, minutes // 2)
    last = seen[hour:]
    heartbeats = len(last) * devices

    def per_heartbeat(name: str) -> float:
        return round(sum(minute[name] for minute in last) / heartbeats, 1)

    def grown(name: str, first: int, second: int) -> int:
        return (seen[second][name] - seen[first][name]) // 1024

    return {
        "table": variant.name,
        "wal_bytes": per_heartbeat("wal"),
        "full_page_bytes": per_heartbeat("images"),
        "hot": round(sum(minute["hot"] for minute in last) / heartbeats, 4),
        "vacuums_an_hour": sum(minute["vacuumed"] for minute in last),
        "table_kb": seen[-1]["table"] // 1024,
        "index_kb": seen[-1]["indexes"] // 1024,
        "first_hour_growth_kb": grown("table", 0, hour - 1) + grown("indexes", 0, hour - 1),
        "second_hour_growth_kb": grown("table", hour - 1, -1) + grown("indexes", hour - 1, -1),
    }


def _judge(result: Result, rows: list[dict[str, Any]], shares: dict[str, list[float]]) -> None:
    tuned = rows[1]
    rounds = next((at for at, share in enumerate(shares["tuned, not rewritten"], start=1) if share >= 0.99), None)
    result.targets += [
        Target("tuned: share of HOT updates in the second hour", tuned["hot"], 0.99, at_least=True),
        Target("tuned: WAL bytes a heartbeat without full-page images", tuned["wal_bytes"], 260),
        Target("tuned: growth in the second hour, KB", tuned["second_hour_growth_kb"], 0),
        Target(
            "tuned, not rewritten: minutes until 99 % of updates are HOT", rounds, MINUTES, note="not within the run"
        ),
    ]
    for title, name, limit in (("WAL without full-page images", "wal_bytes", 260), ("HOT share", "hot", 0.99)):
        values = {row["table"]: row[name] for row in rows}
        result.bars.append(Bars(title, "bytes a heartbeat" if name != "hot" else "of updates", values, limit=limit))
