"""What the tests of the ledger's answers stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import CLOCK, SEARCH_PATH, SQL_WITH_CLOCK, Ledger

if TYPE_CHECKING:
    import psycopg


@pytest.fixture
def ledger(connection: psycopg.Connection) -> Ledger:
    """A database with the ledger; its clock stands at midnight of 1 October 2026, UTC, until a test sets it."""
    connection.execute(CLOCK)
    connection.execute(SQL_WITH_CLOCK.encode())
    connection.execute(f"SET search_path = {SEARCH_PATH}".encode())
    return Ledger(connection)
