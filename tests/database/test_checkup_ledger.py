"""`hvac-heartbeat check` finds what is wrong with the ledger of silence, and how to mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.schema import migrate
from hvac_heartbeat.schema.parts import CALLED, TABLES, TELLING, TRIGGERS, VIEWS, WRITERS
from tests.database.checkup import look, mend, worst, writer
from tests.database.ledger_migration import DROPS, HEARTBEATS, OLD_SERVER, RIGHTS, grant, silences, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

__all__ = ["writer"]

DATABASE_MD = Path(__file__).parents[2] / "docs" / "database.md"
DOCUMENTED = re.findall(r"^GRANT [^;]* ON (?:device_state|v_\w+)[^;]*", DATABASE_MD.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def owner(database: Database, writer: str) -> Iterator[psycopg.Connection]:
    """The owner of a database with the ledger, on which the function's role has every right that it needs."""
    with database.connect() as owner:
        migrate(owner)
        for statement in DOCUMENTED:
            owner.execute(statement.replace("hvac_heartbeat", writer).encode())
        assert [finding.level for finding in look() if finding.subject == "ledger"] == [Level.OK]
        yield owner


def found() -> list[Finding]:
    return [finding for subject in ("ledger", "telling") for finding in worst(look(), subject)]


def test_a_missing_ledger_says_what_is_lost_and_who_can_make_it(database: Database, writer: str) -> None:
    with database.connect() as owner:
        grant(owner, writer, "SELECT")
        [finding] = found()
        assert (finding.level, finding.found) == (Level.WARNING, "the ledger of silence is not there")
        assert "no history of silences and no report, and a late heartbeat corrects nothing" in finding.advice
        assert "Nobody is told of silent sites" in finding.advice
        assert f"Run `hvac-heartbeat migrate` as {owner.info.user}, or as another role" in finding.advice
        assert not finding.sql  # the function's role has no use for the rights that it takes
        grant(owner, writer, *RIGHTS)
        told()  # migrate, as that role
        assert not found()


@pytest.mark.parametrize("part", DROPS)
def test_a_missing_part_leads_to_migrate(owner: psycopg.Connection, writer: str, part: str) -> None:
    owner.execute(DROPS[part].encode())
    subject = "telling" if part in TELLING else "ledger"
    [finding] = [one for one in worst(look(), subject) if one.found.startswith("missing: ")]
    assert part in finding.found
    writes = part in WRITERS
    assert finding.level is (Level.WRONG if writes or subject == "telling" else Level.WARNING)
    assert ("until then, silences that end are not written" in finding.advice) == writes
    assert ("until then, nobody is told of silent sites" in finding.advice) == (subject == "telling")
    migrate(owner)
    owner.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(writer)))
    assert not found()


def test_a_ledger_without_the_telling_leads_to_migrate(owner: psycopg.Connection, writer: str) -> None:
    for part in TELLING:
        owner.execute(DROPS[part].encode())
    [finding] = found()
    assert (finding.subject, finding.level) == ("telling", Level.WARNING)
    assert finding.found == "the telling beside the ledger of silence is not there"
    assert "Nobody is told of silent sites: a tick only counts." in finding.advice
    assert migrate(owner).to_create == ("the telling beside the ledger of silence",)


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("state", ["DISABLE", "ENABLE REPLICA"])
def test_a_disabled_trigger_is_enabled(owner: psycopg.Connection, name: str, state: str) -> None:
    owner.execute(f"ALTER TABLE device_state {state} TRIGGER {name}".encode())
    findings = found()
    assert [(finding.level, finding.found) for finding in findings] == [(Level.WRONG, f"trigger {name} is disabled")]
    mend(owner, findings)
    assert not found()


@pytest.mark.parametrize("where", ["ROLE {role}", "ROLE {role} IN DATABASE {name}", "DATABASE {name}"])
def test_a_session_that_runs_no_trigger_is_set_right(
    owner: psycopg.Connection, database: Database, writer: str, where: str
) -> None:
    statement = sql.SQL(f"ALTER {where} SET session_replication_role = replica")
    owner.execute(statement.format(role=sql.Identifier(writer), name=sql.Identifier(database.name)))
    [finding] = found()
    assert finding.level is Level.WRONG
    assert "session_replication_role is replica" in finding.found
    mend(owner, [finding])
    assert not found()


@pytest.mark.parametrize(
    ("relation", "lacking"),
    [
        ("device_state", "SELECT"),
        ("device_state", "UPDATE"),
        ("silence", "SELECT, INSERT, UPDATE, DELETE"),
        ("first_heartbeat", "SELECT, INSERT, UPDATE"),
    ],
)
def test_what_the_functions_owner_lacks_is_granted(
    owner: psycopg.Connection, writer: str, relation: str, lacking: str
) -> None:
    # Another role that owns the functions, as after a REASSIGN that forgot the tables.
    maker = sql.Identifier(f"maker_{writer}")
    owner.execute(sql.SQL("CREATE ROLE {}").format(maker))
    try:
        owner.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(maker))
        owner.execute(sql.SQL("GRANT ALL ON device_state, silence, first_heartbeat TO {}").format(maker))
        owner.execute(sql.SQL("ALTER FUNCTION note_silence() OWNER TO {}").format(maker))
        owner.execute(sql.SQL(f"REVOKE {lacking} ON {relation} FROM {{}}").format(maker))
        [finding] = found()
        assert finding.level is Level.WRONG
        words = f"role maker_{writer}, who owns the ledger's functions, lacks {lacking} on {relation}"
        assert finding.found == words
        mend(owner, [finding])
        assert not found()
        owner.execute(HEARTBEATS)
        assert len(silences(owner)) == 1
    finally:
        owner.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(maker))


@pytest.mark.parametrize("relations", [("v_device_liveness",), (*TABLES, *VIEWS)])
def test_what_the_role_cannot_read_is_granted(
    owner: psycopg.Connection, writer: str, relations: tuple[str, ...]
) -> None:
    named = sql.SQL(", ").join(map(sql.Identifier, relations))
    owner.execute(sql.SQL("REVOKE SELECT ON {} FROM {}").format(named, sql.Identifier(writer)))
    [finding] = found()
    assert (finding.level, finding.found) == (
        Level.WARNING,
        f"the role cannot read {', '.join(sorted(relations))}",
    )
    mend(owner, [finding])
    assert not found()


def test_a_role_that_may_not_correct_the_ledger_may_again(owner: psycopg.Connection, writer: str) -> None:
    owner.execute("REVOKE EXECUTE ON FUNCTION note_late_heartbeats FROM PUBLIC")
    [finding] = found()
    assert (finding.level, finding.found) == (Level.WRONG, "the role may not call note_late_heartbeats")
    mend(owner, [finding])
    assert not found()


def test_a_role_that_may_not_sweep_may_again(owner: psycopg.Connection, writer: str) -> None:
    names = [signature.partition("(")[0] for signature in CALLED]
    owner.execute(f"REVOKE EXECUTE ON FUNCTION {', '.join(names)} FROM PUBLIC".encode())
    [finding] = found()
    assert (finding.subject, finding.level) == ("telling", Level.WRONG)
    assert finding.found == "the role may not call lease_messages, note_deliveries, sweep"
    mend(owner, [finding])
    assert not found()


def test_what_is_not_ours_is_named(database: Database, writer: str) -> None:
    with database.connect() as owner:
        owner.execute("CREATE TABLE silence (id int)")
        [finding] = found()
        assert finding.level is Level.WRONG
        assert "table silence that is not ours" in finding.found


def test_an_older_server_has_none(database: Database, writer: str) -> None:
    with database.connect() as owner:
        owner.execute(OLD_SERVER)
        role = sql.Identifier(writer)
        owner.execute(sql.SQL("ALTER ROLE {} SET search_path = public, old, pg_catalog").format(role))
        [finding] = found()
        assert (finding.level, finding.found) == (
            Level.NOTE,
            "no ledger of silence: it needs PostgreSQL 14, and this is 13",
        )
        assert not finding.sql
