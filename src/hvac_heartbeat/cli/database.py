"""The command's own look at a database: connect as the function does, and say in one line what went wrong."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from hvac_heartbeat.channels import is_loopback
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.local.formats import set_formats
from hvac_heartbeat.store.connection import connect, first_line
from hvac_heartbeat.store.queries import queries
from hvac_heartbeat.store.sqlstates import classify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hvac_heartbeat.settings import Settings


def is_database_named() -> bool:
    """Tell whether the environment names a database, so that no throwaway one is needed."""
    return bool(os.environ.get("DB_HOST") or os.environ.get("DB_SECRET_ARN"))


def place(settings: Settings) -> str:
    """Name the database for a person: what, where, as whom."""
    if settings.secret_arn is not None and not settings.host:
        return "the database that DB_SECRET_ARN names"
    where = settings.host if settings.host.startswith("/") else f"{settings.host}:{settings.port or 5432}"
    return f"{settings.name or 'the database of DB_SECRET_ARN'} on {where} as {settings.user or 'its role'}"


def is_this_machine(host: str) -> bool:
    """Tell whether every host that DB_HOST names is this machine: a socket, localhost or a loopback address."""
    return all(one.startswith(("/", "@")) or is_loopback(one) for one in map(str.strip, host.split(",")))


@contextmanager
def opened(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection; what the driver raises inside becomes one line that says what to do."""
    try:
        with connect(settings) as connection:
            set_formats(connection)
            yield connection
    except psycopg.Error as error:
        raise DatabaseRefused(classify(error, place(settings)).unavailable().in_full) from error


@contextmanager
def told_of_rights(connection: psycopg.Connection[Any], rights: str) -> Iterator[None]:
    """Make of a right that is missing one line with the GRANT that the command needs."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        said = first_line(error)
        # The server names the object in its message alone.
        found = re.search(r"permission denied for (?:table|view|relation) (\S+)", said)
        grant = f"GRANT {rights} ON {found[1]} TO {connection.info.user}" if found else "let the owner grant it"
        raise DatabaseRefused(f"{said}: {grant}; docs/database.md has all that the commands need") from error


def rows(connection: psycopg.Connection[Any], query: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
    """Run a statement of queries.sql and return its rows by column name."""
    return rows_of(connection, queries()[query], parameters)


def rows_of(connection: psycopg.Connection[Any], statement: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
    """Run a statement and return its rows by column name."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), parameters).fetchall()
