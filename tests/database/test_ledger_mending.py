"""`hvac-heartbeat migrate` makes again what was dropped of the ledger, and refuses what is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.schema import SchemaError, look, migrate
from hvac_heartbeat.schema.parts import TABLES
from tests.database.checkup import writer
from tests.database.ledger_migration import (
    DROPS,
    HEARTBEATS,
    RIGHTS,
    definitions,
    grant,
    owner,
    silences,
    told,
)
from tests.database.test_migrate import refused
from tests.database.test_schema import CATALOGUE

if TYPE_CHECKING:
    import psycopg

    from tests.conftest import Database

__all__ = ["owner", "writer"]


RULES = """
INSERT INTO liveness_policy VALUES ('fleet', '', '5 minutes');
INSERT INTO maintenance_window (scope, subject) VALUES ('site', 'north');
INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '1 day', now() - interval '23 hours')
"""
KEPT = "SELECT (SELECT array_agg(t.*::text) FROM {} AS t)"


@pytest.mark.parametrize("part", DROPS)
def test_a_part_that_was_dropped_is_made_again_and_the_rest_is_kept(owner: psycopg.Connection, part: str) -> None:
    migrate(owner)
    complete = definitions(owner)
    owner.execute(f"{HEARTBEATS}; {RULES}".encode())
    # A ledger that has lost its evidence begins anew.
    begins_anew = {"silence": {"first_heartbeat", "ledger_start"}, "first_heartbeat": {"ledger_start"}}.get(part, set())
    tables = [name for name in TABLES if name not in {part, *begins_anew}]
    before = [owner.execute(KEPT.format(name).encode()).fetchone() for name in tables]
    began = owner.execute("SELECT started_at FROM ledger_start").fetchone()
    owner.execute(DROPS[part].encode())
    assert part in migrate(owner).ledger.missing
    assert (look(owner).to_create, definitions(owner)) == ((), complete)
    assert [owner.execute(KEPT.format(name).encode()).fetchone() for name in tables] == before
    has_begun_anew = owner.execute("SELECT started_at FROM ledger_start").fetchone() != began
    assert has_begun_anew == (part in {"silence", "first_heartbeat", "ledger_start"})
    owner.execute(HEARTBEATS.replace("'a'", "'b'"))
    assert "b" in [device for device, _ in silences(owner)]


@pytest.mark.parametrize(
    ("drop", "is_blind"), [("trigger note_silence", True), ("v_site_liveness", False), ("close_episodes()", False)]
)
def test_a_gap_in_the_ledger_is_told(owner: psycopg.Connection, writer: str, drop: str, *, is_blind: bool) -> None:
    grant(owner, writer, *RIGHTS)
    told()
    owner.execute(DROPS[drop].encode())
    said = told()
    assert f"reated {drop} of the ledger of silence in schema public." in said
    assert ("Silences that ended while something was missing are not in the ledger." in said) == is_blind


def test_what_another_role_made_only_that_role_can_mend(owner: psycopg.Connection, writer: str) -> None:
    migrate(owner)
    grant(owner, writer, *RIGHTS)
    owner.execute("DROP VIEW v_site_liveness")
    said = told()
    assert "Did not make v_site_liveness of the ledger of silence: only role " in said
    assert ", who owns the rest of it, can make what is missing." in said


def test_a_disabled_trigger_is_left_to_whoever_disabled_it(owner: psycopg.Connection, writer: str) -> None:
    migrate(owner)
    owner.execute("ALTER TABLE device_state DISABLE TRIGGER note_silence")
    assert "Trigger note_silence is disabled" in told()
    assert look(owner).ledger.disabled == ("note_silence",)


SWALLOW = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
FOREIGN = {
    "CREATE TABLE silence (id int)": "table silence that is not ours: it is without device_id",
    "CREATE TABLE v_silences (id int)": "v_silences that is not a view of ours",
    "CREATE SEQUENCE ledger_start": "ledger_start that is not a table of ours",
    "CREATE VIEW v_deaf AS SELECT 1 AS one": "view v_deaf that is not ours: it is without deaf",
    "CREATE TABLE silence_message (id int)": "table silence_message that is not ours: it is without dedup_id",
    "CREATE VIEW v_counted AS SELECT '' AS device_id": "view v_counted that is not ours: it is without site_id",
    "CREATE TYPE site_news AS (title text)": "type site_news that is not ours: it is without kind",
    "CREATE TYPE silent_part AS ENUM ('all')": "silent_part that is not a type of ours",
    "CREATE FUNCTION glance() RETURNS int LANGUAGE sql AS 'SELECT 1'": "function glance() that is not ours: it returns",
    "CREATE FUNCTION note_silence() RETURNS int LANGUAGE sql AS 'SELECT 1'": "function note_silence() that is not ours",
    f"{SWALLOW}; CREATE TRIGGER note_silence AFTER UPDATE ON device_state EXECUTE FUNCTION swallow()": (
        "trigger note_silence on device_state that is not ours: it runs swallow"
    ),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_somebody_else_has_by_that_name_is_refused_and_nothing_is_changed(
    owner: psycopg.Connection, foreign: str
) -> None:
    owner.execute(foreign.encode())
    before = owner.execute(CATALOGUE).fetchall()
    with pytest.raises(SchemaError) as refusal:
        migrate(owner)
    assert FOREIGN[foreign] in str(refusal.value)
    assert owner.execute(CATALOGUE).fetchall() == before


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--sql",)])
def test_that_refusal_is_one_line_and_exit_code_1(empty_database: Database, options: tuple[str, ...]) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE TABLE silence (id int)")
    assert "Schema public has a table silence that is not ours" in refused(empty_database, *options)
    with empty_database.connect() as connection:
        assert connection.execute("SELECT to_regclass('device_state')").fetchone() == (None,)
