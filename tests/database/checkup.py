"""What the tests of `hvac-heartbeat check` look with, and the role that it is run as."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from psycopg import sql

from hvac_heartbeat.local.checkup.examination import examine
from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.conftest import Database


@pytest.fixture
def writer(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A role with no right but to log in, which the DB_* variables name."""
    role = f"writer_{uuid4().hex[:8]}"
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    for name, value in (database.environment | {"DB_USER": role, "DB_PASSWORD": "writer"}).items():
        monkeypatch.setenv(name, value)
    with database.connect() as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'writer'").format(sql.Identifier(role)))
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield role
        owner.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def look() -> list[Finding]:
    return examine(Settings.from_environment(os.environ))


def worst(findings: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject and finding.level is not Level.OK]


def mend(owner: psycopg.Connection, findings: list[Finding]) -> None:
    for finding in findings:
        owner.execute(finding.sql.encode())
