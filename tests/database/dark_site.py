"""A fleet with a dark site, in a database with the ledger and telling, for tests of what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvac_heartbeat.schema.migrations.versions import r0002_ledger, r0003_telling

if TYPE_CHECKING:
    import psycopg


def darken(connection: psycopg.Connection, site: str, *, device: str = "d", alive_at: str = "0") -> None:
    """Make the ledger and telling; three devices of `site` were silent for five minutes, those of six others are well.

    Devices are named `device` and a number from 1. `alive_at` is the interval from now to the heartbeat of those that
    are well.
    """
    for statements in (r0002_ledger.SQL, r0003_telling.SQL):
        with connection.transaction():
            connection.execute(statements.encode())
    connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)"
        " SELECT %s || n, CASE WHEN n <= 3 THEN %s ELSE 's' || n END, seen, seen"
        "   FROM generate_series(1, 9) AS n,"
        "        LATERAL (SELECT now() + CASE WHEN n <= 3 THEN interval '-5 min' ELSE %s::interval END AS seen) AS b",
        [device, site, alive_at],
    )
    connection.execute("DELETE FROM first_heartbeat")  # so that nobody asks whether three heartbeats are proven
