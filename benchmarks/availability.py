"""How long the answers take: a month's report over 10,000 devices, and who is silent among 100,000."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import fleet
from benchmarks.report import Target
from benchmarks.server import cpu_ns
from benchmarks.timing import milliseconds, percentile

if TYPE_CHECKING:
    from benchmarks.server import Database, Server

DEVICES = 10_000
SILENCES = 20  # of each device in the month
OTHERS = 100  # of each device in the ten months before
FLEET = 100_000
ROUNDS = 5
LIMIT_MS = 2_000

# The month ended 30 days ago. Silences last from 130 seconds to nearly three hours; no two begin together.
MONTH = "(now() - interval '60 days', now() - interval '30 days')"
DEVICE_REPORT = "device_availability" + MONTH
SITE_REPORT = "site_availability" + MONTH
OF_ONE = f" WHERE device_id = '{fleet.device(7)}'"
SILENT = """
INSERT INTO silence (device_id, silent_from, silent_to, site_id)
SELECT device_id, silent_from, silent_from + interval '130 seconds' + (number %% 97) * interval '100 seconds', site_id
  FROM (SELECT device_id, site_id, number,
               now() - interval '1 day' * %(days_ago)s
               + interval '1 day' * %(days)s * (number + random()) / %(count)s AS silent_from
          FROM device_state, generate_series(0, %(count)s - 1) AS number) AS gap
"""
# Every tenth site and every twentieth device had five hours of maintenance, we were deaf five times for an hour, and a
# fifth of the sites has a rule of its own.
RULES = """
INSERT INTO liveness_policy
SELECT 'fleet', '', interval '3 minutes'
 UNION ALL
SELECT DISTINCT 'site', site_id, interval '10 minutes' FROM device_state WHERE hashtext(site_id) % 5 = 0;
INSERT INTO maintenance_window (scope, subject, starts_at, ends_at)
SELECT scope, subject, starts_at, starts_at + interval '5 hours'
  FROM (SELECT DISTINCT 'site' AS scope, site_id AS subject FROM device_state WHERE hashtext(site_id) % 10 = 1
         UNION ALL
        SELECT 'device', device_id FROM device_state WHERE hashtext(device_id) % 20 = 1) AS maintained
 CROSS JOIN LATERAL (SELECT now() - interval '60 days' + abs(hashtext(subject) % 720) * interval '1 hour')
       AS window_of (starts_at);
INSERT INTO deaf_interval (starts_at, ends_at)
SELECT starts_at, starts_at + interval '1 hour'
  FROM generate_series(now() - interval '59 days', now() - interval '31 days', interval '6 days') AS starts_at;
UPDATE ledger_start SET started_at = now() - interval '400 days';
UPDATE first_heartbeat SET first_seen_ts = now() - interval '400 days';
"""
# One device in ten fell silent within the last hour; then everybody did, and we were deaf in between.
SOME_SILENT = """
UPDATE device_state SET last_seen_ts = now() - CASE WHEN hashtext(device_id) % 10 = 0 THEN interval '1 hour'
                                                    ELSE interval '1 minute' END * random()
"""
ALL_SILENT = """
UPDATE device_state SET last_seen_ts = now() - interval '2 hours' - interval '1 hour' * random();
INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '50 minutes', now() - interval '40 minutes');
"""


def measure(server: Server, *, quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Time each question; the targets are the month's reports."""
    devices, large = (200, 500) if quick else (DEVICES, FLEET)
    rows: list[dict[str, Any]] = []
    with server.database(synchronous_commit=False) as database:
        _prepare(database, devices)
        _silence(database, days_ago=60, days=30, count=SILENCES)
        rows += [_ask(database, "device_availability, a month", DEVICE_REPORT)]
        _silence(database, days_ago=380, days=300, count=OTHERS)
        rows += [
            _ask(database, "device_availability, a month", DEVICE_REPORT),
            _ask(database, "site_availability, a month", SITE_REPORT),
            _ask(database, "device_availability, a month of one device", DEVICE_REPORT + OF_ONE),
            _ask(database, "v_silences, of one device", "v_silences" + OF_ONE),
        ]
    with server.database(synchronous_commit=False) as database:
        _prepare(database, large)
        for state, statement in (("one in ten silent", SOME_SILENT), ("all silent, we were deaf", ALL_SILENT)):
            database.admin.execute(statement.encode())
            database.admin.execute("VACUUM (ANALYZE)")
            for view in ("v_devices_stale", "v_device_liveness", "v_site_liveness"):
                rows.append(_ask(database, f"{view}, {state}", view))
    return rows, [_target(row) for row in rows if row["question"].endswith("a month")]


def _target(row: dict[str, Any]) -> Target:
    """Judge by the server's CPU, where it can be seen: the clock's time is also that of the machine's other work."""
    what = f"{row['question']}, {row['silences']:,} silences kept"
    if row["server_cpu_ms"] is None:
        return Target(f"{what}: ms", row["median_ms"], LIMIT_MS)
    return Target(f"{what}: ms of server CPU", row["server_cpu_ms"], LIMIT_MS)


def _prepare(database: Database, devices: int) -> None:
    fleet.populate(database.admin, devices)
    database.admin.execute(fleet.LEDGER.encode())
    database.admin.execute("INSERT INTO first_heartbeat SELECT device_id, last_seen_ts FROM device_state")
    database.admin.execute("ALTER TABLE device_state DISABLE TRIGGER USER")  # what is prepared is no fact
    database.admin.execute(RULES.encode())


def _silence(database: Database, **when: int) -> None:
    database.admin.execute(SILENT, when)
    database.admin.execute("VACUUM (ANALYZE)")


def _ask(database: Database, question: str, source: str) -> dict[str, Any]:
    """Ask often enough for a median, with the server's own CPU where we may look at it."""
    backend = {database.admin.info.backend_pid}
    visible = database.server.postmaster is not None
    query = f"SELECT * FROM {source}".encode()  # noqa: S608 - ours
    found, wall, cpu = 0, [], []
    for _ in range(ROUNDS):
        before = cpu_ns(backend) if visible else 0
        began = time.perf_counter()
        found = len(database.admin.execute(query).fetchall())
        wall.append(time.perf_counter() - began)
        cpu.append((cpu_ns(backend) - before) / 1e9 if visible else 0.0)
    return {
        "question": question,
        "devices": database.value("SELECT count(*) FROM device_state"),
        "silences": database.value("SELECT count(*) FROM silence"),
        "rows": found,
        "median_ms": milliseconds(percentile(wall, 50)),
        "server_cpu_ms": milliseconds(percentile(cpu, 50)) if visible else None,
    }
