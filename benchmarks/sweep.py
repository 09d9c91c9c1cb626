"""The sweep over a million devices: idle, with 1,000 devices fallen silent, with all of them, and with all back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.report import Bars, Result, Target
from benchmarks.server import cpu_ns
from benchmarks.timing import milliseconds, percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Database, Server

FLEET = 1_000_000
SITE = 40  # devices
SILENT = 1_000
WARM = 7  # sweeps, after which plpgsql has settled on its plans
ROUNDS = 9
VERSIONS = Path(__file__).parents[1] / "src" / "hvac_heartbeat" / "schema" / "migrations" / "versions"
TELLING = "".join(part.read_text(encoding="utf-8") for part in sorted(VERSIONS.glob("r000[23]_*.sql")))

# Every device was heard within the last minute, and all of them three times at least.
POPULATE = """
INSERT INTO device_state (device_id, site_id, last_seen_ts, status, agent_version, queue_depth, updated_at)
SELECT 'hvac-unit-' || lpad(n::text, 7, '0'), 'building-' || lpad((n / %s)::text, 5, '0'),
       seen, 'ready', '1.4.2', 0, seen
  FROM generate_series(1, %s) AS n
 CROSS JOIN LATERAL (SELECT now() - make_interval(secs => n %% 60) AS seen) AS beat;
"""
OLD = "UPDATE first_heartbeat SET first_seen_ts = first_seen_ts - interval '1 day'"
# As a heartbeat of each device would.
HEARD = "UPDATE device_state SET last_seen_ts = now(), updated_at = now() WHERE last_seen_ts < now() - interval '9 s'"
QUIET = """
UPDATE device_state SET last_seen_ts = last_seen_ts - interval '5 min', updated_at = updated_at - interval '5 min'
 WHERE device_id <= 'hvac-unit-' || lpad(%s::text, 7, '0')
"""


def run(server: Server, progress: Callable[[str, float], None], *, quick: bool) -> Result:
    """Time each kind of sweep, the idle one several times."""
    result = Result("sweep")
    devices, silent = (4_000, 80) if quick else (FLEET, SILENT)
    rows: list[dict[str, Any]] = []
    with server.database(schema=fleet.TABLE_AND_VIEW + TELLING) as database:
        result.circumstances = database.circumstances | {"devices": devices, "devices a site": SITE}
        progress("a fleet", 0.1)
        _prepare(database, devices)
        for _ in range(WARM):
            _sweep(database)
        progress("idle", 0.4)
        _silence(database, 0)
        rows.append(_row("idle", [_sweep(database) for _ in range(ROUNDS)]))
        openings = []
        for place in range(3):
            progress("1,000 fall silent", 0.5 + place / 10)
            _silence(database, silent)
            openings.append(_sweep(database))
            _forget(database)
        rows.append(_row(f"{silent:,} fall silent", openings))
        progress("all fall silent", 0.9)
        _silence(database, devices)
        rows.append(_row("all fall silent", [_sweep(database) for _ in range(3)]))
    result.tables["one sweep"] = rows
    by_name = {row["sweep"]: row["median_ms"] for row in rows}
    result.targets = [
        Target(f"an idle sweep over {devices:,} devices, ms", by_name["idle"], 1_000),
        Target(f"a sweep that opens {silent:,} episodes, ms", by_name[f"{silent:,} fall silent"], 1_500),
    ]
    result.bars = [Bars(f"a sweep over {devices:,} devices", "ms", by_name)]
    return result


def _prepare(database: Database, devices: int) -> None:
    database.admin.execute("SET max_parallel_workers_per_gather = 0")  # processor time is that of our backend alone
    database.admin.execute(POPULATE, [SITE, devices])
    database.admin.execute(OLD)
    database.admin.execute("VACUUM (FULL, ANALYZE) device_state")
    database.admin.execute("VACUUM ANALYZE")


def _silence(database: Database, count: int) -> None:
    # The ledger would note a million returns for what is only the next measurement.
    database.admin.execute("ALTER TABLE device_state DISABLE TRIGGER USER")
    database.admin.execute(HEARD)
    database.admin.execute(QUIET, [count])
    database.admin.execute("ALTER TABLE device_state ENABLE TRIGGER USER")
    database.admin.execute("VACUUM (FULL, ANALYZE) device_state")


def _forget(database: Database) -> None:
    database.admin.execute("TRUNCATE episode, silence_message, fleet_silence")


def _sweep(database: Database) -> dict[str, float]:
    pid = {database.admin.info.backend_pid}
    visible = database.server.postmaster is not None
    cpu = cpu_ns(pid) if visible else 0
    began = time.perf_counter()
    row = database.admin.execute("SELECT opened, messages, stale FROM sweep()").fetchone() or (0, 0, 0)
    took = time.perf_counter() - began
    opened, messages, stale = row
    server_s = (cpu_ns(pid) - cpu) / 1e9 if visible else 0.0
    return {"s": took, "server_s": server_s, "opened": opened, "messages": messages, "stale": stale}


def _row(name: str, sweeps: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "sweep": name,
        "rounds": len(sweeps),
        "median_ms": milliseconds(percentile([one["s"] for one in sweeps], 50)),
        "slowest_ms": milliseconds(max(one["s"] for one in sweeps)),
        "server_cpu_ms": milliseconds(percentile([one["server_s"] for one in sweeps], 50)),
        "stale": int(sweeps[0]["stale"]),
        "opened": int(sweeps[0]["opened"]),
        "messages": int(sweeps[0]["messages"]),
    }
