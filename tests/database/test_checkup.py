"""`hvac-heartbeat check` finds what is wrong, says how to mend it and changes nothing; `tune` asks before it does."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from hvac_heartbeat.cli.app import app
from hvac_heartbeat.local.checkup.examination import examine
from hvac_heartbeat.local.checkup.finding import Level
from hvac_heartbeat.schema import migrate
from hvac_heartbeat.settings import Settings
from tests.database.checkup import look, mend, worst, writer
from tests.database.test_tls import Authority, authority, encrypted, present

if TYPE_CHECKING:
    from pathlib import Path

    from hvac_heartbeat.local.postgres import PostgresServer
    from tests.conftest import Database

__all__ = ["authority", "encrypted", "writer"]


def test_a_database_as_it_should_be_has_no_findings_and_exit_code_0(writer: str, database: Database) -> None:
    with database.connect() as owner:
        role = sql.Identifier(writer)
        owner.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE ON device_state TO {}").format(role))
        owner.execute(sql.SQL("GRANT SELECT ON v_devices_stale TO {}").format(role))
        owner.execute("ALTER TABLE device_state SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)")
        migrate(owner)
        owner.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
    # TLS is the server's, which is reached over TCP or a socket, as whoever runs the tests has it.
    assert [finding for finding in look() if finding.level is not Level.OK and finding.subject != "TLS"] == []
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


def test_a_view_that_is_not_there_leads_to_migrate_and_not_to_a_grant(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("DROP VIEW v_devices_stale")
    [finding] = [finding for finding in worst(look(), "rights") if "v_devices_stale" in finding.found]
    assert "migrate" in finding.advice
    assert not finding.sql


def test_tune_sends_another_role_to_the_owner_without_asking(writer: str) -> None:
    ended = CliRunner().invoke(app, ["tune"])
    assert "Apply this?" not in ended.stdout
    assert "owner of device_state" in str(ended.exception)


def test_triggers_and_row_level_security_are_pointed_out(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        owner.execute("CREATE TRIGGER swallow BEFORE INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION swallow()")
        owner.execute("ALTER TABLE device_state ENABLE ROW LEVEL SECURITY")
    found = " ".join(finding.found for finding in worst(look(), "table"))
    assert "row-level security" in found
    assert "BEFORE triggers: swallow" in found
    assert {finding.level for finding in worst(look(), "table")} == {Level.WARNING, Level.NOTE}


def test_each_foreign_key_says_which_heartbeats_the_database_rejects(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("CREATE TABLE sites (site_id text PRIMARY KEY)")
        owner.execute("ALTER TABLE device_state ADD CONSTRAINT known_site FOREIGN KEY (site_id) REFERENCES sites")
    [key] = [finding for finding in look() if finding.subject == "foreign keys"]
    assert key.found == "known_site: the database rejects a heartbeat whose site_id is not in sites"


def test_a_table_off_the_search_path_and_a_read_only_role_are_wrong(writer: str, database: Database) -> None:
    with database.connect() as owner:
        owner.execute("CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet")
        owner.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(writer)))
        findings = look()
        assert [f.level for f in worst(findings, "table")] == [Level.WRONG]
        [read_only] = worst(findings, "server")
        assert read_only.level is Level.WRONG
        mend(owner, [read_only])
        assert not worst(look(), "server")


def test_it_changes_nothing(writer: str, database: Database) -> None:
    with database.connect() as owner:

        def written() -> Any:
            return owner.execute("SELECT array_agg(xmin::text ORDER BY oid) FROM pg_class").fetchone()

        before = written()
        look()
        assert written() == before


def test_no_way_in_is_exit_code_1_and_says_why(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DB_HOST", "127.0.0.1")
        monkeypatch.setenv("DB_PORT", str(free.getsockname()[1]))
        done = CliRunner().invoke(app, ["check", "--json"])
    assert done.exit_code == 1
    [connection, *_] = json.loads(done.stdout)
    assert (connection["subject"], connection["level"]) == ("connection", "wrong")
    assert "cannot be reached" in connection["found"]
    assert f"127.0.0.1:{os.environ['DB_PORT']}" in connection["found"]
    assert "Connection refused" in connection["found"]


@pytest.mark.parametrize(
    ("variable", "advice"), [("DB_USER", "Check DB_USER and the password"), ("DB_NAME", "Check DB_NAME.")]
)
def test_a_refused_login_leads_to_what_was_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, variable: str, advice: str
) -> None:
    monkeypatch.setenv(variable, "nobody_of_that_name")
    [connection] = worst(look(), "connection")
    assert connection.advice.startswith(advice)
    assert "security groups" not in connection.advice


def test_the_json_holds_every_finding(environment: dict[str, str]) -> None:
    done = CliRunner().invoke(app, ["check", "--json"])
    assert done.exit_code == 0
    findings = json.loads(done.stdout)
    assert {"connection", "TLS", "server", "clock", "pooler", "table", "columns", "rights"} <= {
        finding["subject"] for finding in findings
    }
    assert all(set(finding) == {"subject", "level", "found", "advice", "sql"} for finding in findings)


@pytest.mark.parametrize(
    ("name", "days", "level", "said"),
    [
        ("localhost", 90, Level.OK, "verified"),
        ("localhost", 5, Level.WARNING, "valid until"),
        ("localhost", -1, Level.WRONG, "expired"),
        ("another.example", 90, Level.WRONG, "mismatch"),
    ],
)
def test_the_certificate_is_looked_at(  # noqa: PLR0913, PLR0917 - fixtures and cases
    encrypted: PostgresServer,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    days: int,
    level: Level,
    said: str,
) -> None:
    from cryptography.hazmat.primitives import serialization

    root = tmp_path / "root.pem"
    root.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM))
    present(encrypted, authority, name, days=days)
    settings = Settings(
        host="localhost",
        port=encrypted.port,
        name="postgres",
        user="postgres",
        password="x",
        sslmode="verify-full",
        sslrootcert=str(root),
    )
    [tls] = [finding for finding in examine(settings) if finding.subject == "TLS"]
    assert tls.level is level
    assert said in tls.found


def test_tune_asks_applies_and_has_nothing_to_do_the_second_time(
    environment: dict[str, str], connection: psycopg.Connection
) -> None:
    connection.execute("CREATE INDEX seen ON device_state (last_seen_ts)")
    options = "SELECT reloptions FROM pg_class WHERE oid = 'device_state'::regclass"
    refused = CliRunner().invoke(app, ["tune"], input="n\n")
    assert refused.exit_code == 1
    assert connection.execute(options).fetchone() == (None,)
    done = CliRunner().invoke(app, ["tune"], input="y\n")
    assert done.exit_code == 0
    row = connection.execute(options).fetchone()
    assert row is not None
    assert "fillfactor=70" in row[0]
    assert "Nothing to do" in CliRunner().invoke(app, ["tune", "--yes"]).stdout
    assert connection.execute("SELECT to_regclass('seen')").fetchone() == ("seen",)
