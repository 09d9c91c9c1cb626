"""Runs Alembic's revisions, on a connection or as SQL for somebody else, and names them."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION_TABLE = "hvac_heartbeat_schema_version"
BASE = "0001"
"""The revision with the table and the view, and without the ledger."""


def known() -> list[str]:
    """Return the identifiers of all revisions, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def script(revision: str) -> str:
    """Return the SQL that makes everything up to a revision in an empty schema."""
    text = io.StringIO()
    command.upgrade(_config(output_buffer=text), revision, sql=True)
    return text.getvalue()


def upgrade(transaction: sqlalchemy.Connection, revision: str) -> None:
    """Make everything up to a revision that is not recorded yet, and record it."""
    config = _config()
    config.attributes["connection"] = transaction
    command.upgrade(config, revision)


@contextmanager
def one_at_a_time(connection: psycopg.Connection[Any]) -> Iterator[sqlalchemy.Connection]:
    """Begin the one transaction of a migration, as soon as no other runs, and commit it where nothing is raised.

    Whoever has waited for another migration must see what it did: so nothing may be looked at before this.
    """
    cursors, connection.cursor_factory = connection.cursor_factory, psycopg.Cursor  # SQLAlchemy's placeholders
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    pool = sqlalchemy.pool.StaticPool
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=pool)
    try:
        with engine.connect() as transaction:
            lock = f"SELECT pg_advisory_xact_lock(hashtextextended('{VERSION_TABLE}', 0))"
            transaction.execute(sqlalchemy.text(lock))
            yield transaction
            transaction.commit()
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from error
    finally:
        connection.rollback()
        connection.isolation_level = None
        connection.autocommit, connection.cursor_factory = True, cursors


def _config(output_buffer: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output_buffer) if output_buffer else Config()
    config.set_main_option("script_location", "hvac_heartbeat.schema:migrations")
    return config
