"""What `hvac-heartbeat check` says of columns that are narrower, stricter or laxer than what the function writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from hvac_heartbeat.local.checkup.finding import Level
from tests.database.checkup import look, mend, worst, writer

if TYPE_CHECKING:
    from tests.conftest import Database

__all__ = ["writer"]

NO_VIEW = "DROP VIEW v_devices_stale; "
# Written into the catalogue, because not every server is built with ICU, which such a collation takes.
FOLDED = """
CREATE COLLATION folded FROM "C";
ALTER TABLE device_state ALTER device_id TYPE text COLLATE folded;
SET allow_system_table_mods = on;
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'folded'
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"CREATE EXTENSION citext; {NO_VIEW} ALTER TABLE device_state ALTER device_id TYPE citext", "citext"),
        (NO_VIEW + FOLDED, "collation"),
        ("ALTER TABLE device_state ADD CONSTRAINT sane CHECK (cpu_pct <= 100)", "sane: CHECK ((cpu_pct <= "),
        ("ALTER TABLE device_state ADD CONSTRAINT short CHECK (length(site_id) < 9)", "short: CHECK"),
    ],
)
def test_what_may_be_meant_is_a_note(writer: str, database: Database, change: str, words: str) -> None:
    with database.connect() as owner:
        owner.execute(change.encode())
    columns = [finding for finding in look() if finding.subject == "columns"]
    assert [finding.level for finding in columns] == [Level.OK, Level.NOTE]
    assert words in columns[1].found
    assert not columns[1].sql
    assert columns[1].advice


def test_an_id_column_that_is_narrow_and_in_the_view_leads_to_the_view(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("DROP VIEW v_devices_stale; ALTER TABLE device_state ALTER device_id TYPE varchar(50)")
        owner.execute("CREATE VIEW v_devices_stale AS SELECT device_id FROM device_state")
    [narrow] = worst(look(), "columns")
    assert (narrow.level, narrow.sql) == (Level.WARNING, "")
    assert narrow.found == "device_id is character varying(50), narrower than text"
    assert "drop the view" in narrow.advice


def test_a_column_that_the_function_does_not_write_keeps_known_devices_out_too(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('known', 's', now())")
        owner.execute("ALTER TABLE device_state ADD tenant text NOT NULL DEFAULT 'x'")
        owner.execute("ALTER TABLE device_state ALTER tenant DROP DEFAULT")
        [finding] = worst(look(), "columns")
        assert "of a known device neither" in finding.advice
        with pytest.raises(psycopg.errors.NotNullViolation):
            owner.execute(
                "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('known', 's', now())"
                " ON CONFLICT (device_id) DO UPDATE SET last_seen_ts = now()"
            )


def test_a_time_that_is_missing_is_added_as_never_seen(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 's', now())")
        owner.execute("ALTER TABLE device_state DROP last_seen_ts CASCADE, DROP site_id")
        mend(owner, worst(look(), "columns"))
        demanded = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'device_state'::regclass AND attnotnull"
        assert {"site_id", "last_seen_ts"} <= {name for (name,) in owner.execute(f"{demanded} AND attnum > 0")}
        assert owner.execute("SELECT last_seen_ts < now() - interval '1 year' FROM device_state").fetchone() == (True,)
