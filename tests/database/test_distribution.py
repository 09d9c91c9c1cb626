"""The SQL of docs/scale.md that makes the functions again for Citus leaves them saying what they said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.schema.migrations.versions import r0002_ledger, r0003_telling

if TYPE_CHECKING:
    import psycopg

SCALE = Path(__file__).parents[2].joinpath("docs", "scale.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^DO \$\$\n.*?^\$\$;$", SCALE, re.MULTILINE | re.DOTALL)

# Ten sites of three devices, heard a moment ago; but site 1 fell silent, and one of site 2 came back just now.
FLEET = """
INSERT INTO device_state (device_id, site_id, last_seen_ts, updated_at)
SELECT 'd' || n, 's' || n % 10, now() - interval '1 day', now() - interval '1 day' FROM generate_series(1, 30) AS n;
UPDATE first_heartbeat SET first_seen_ts = now() - interval '3 days';
UPDATE ledger_start SET started_at = now() - interval '3 days';
UPDATE device_state SET last_seen_ts = now() - CASE site_id WHEN 's1' THEN interval '9 min' ELSE interval '9 s' END;
DELETE FROM silence;
INSERT INTO silence VALUES ('d2', now() - interval '9 minutes', now() - interval '9 s', 's2');
INSERT INTO episode (device_id, site_id, silent_from, opened_at, told_open)
VALUES ('d2', 's2', now() - interval '9 minutes', now() - interval '6 minutes', true),
       ('gone', 's2', now() - interval '9 minutes', now() - interval '6 minutes', true);
INSERT INTO liveness_policy VALUES ('fleet', '', '3 minutes'), ('site', 's3', '5 minutes');
INSERT INTO maintenance_window (scope, subject, starts_at) VALUES ('device', 'd11', now() - interval '1 hour');
"""
QUESTIONS = (
    "SELECT * FROM device_availability(now() - interval '2 days', now()) ORDER BY 1",
    "SELECT * FROM site_availability(NULL, NULL) ORDER BY 1",
    "SELECT * FROM quiet_devices('infinity') ORDER BY 1",
    "SELECT survey(glance())",
    "SELECT is_known('d1', now()), is_known('nobody', now()), is_maintained('d11'), is_maintained('d1')",
    "SELECT were_written_late(now() - interval '1 hour', now())",
    "SELECT * FROM sweep()",
    "SELECT * FROM episode ORDER BY 1, 4",
    "SELECT * FROM untold() ORDER BY 1, 2",
    "SELECT kind, scope, site_id, body FROM silence_message ORDER BY id",
)
# What reads the fleet in a function that Citus cannot plan.
UNPLANNED = """
SELECT DISTINCT proname::text FROM pg_proc JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
 WHERE refclassid = 'pg_class'::regclass AND refobjid IN ('device_state'::regclass, 'v_counted'::regclass)
"""


def answers(connection: psycopg.Connection) -> list[list[Any]]:
    """Ask all questions, and leave nothing written."""
    with connection.transaction(force_rollback=True):
        return [connection.execute(question.encode()).fetchall() for question in QUESTIONS]


def test_the_functions_made_again_for_citus_say_what_they_said(connection: psycopg.Connection) -> None:
    [remake] = BLOCKS
    connection.execute(r0002_ledger.SQL)
    connection.execute(r0003_telling.SQL)
    with connection.transaction():
        connection.execute(FLEET)
        before = answers(connection)
        assert len(connection.execute(UNPLANNED).fetchall()) > 3
        connection.execute(remake.encode())
        assert connection.execute(UNPLANNED).fetchall() == []
        assert answers(connection) == before
    by_question = dict(zip(QUESTIONS, before, strict=True))
    assert len(by_question["SELECT * FROM episode ORDER BY 1, 4"]) > 2
    assert by_question["SELECT kind, scope, site_id, body FROM silence_message ORDER BY id"] != []
