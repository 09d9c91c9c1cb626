"""What the tests of the ledger's answers stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import CLOCK, SEARCH_PATH, SQL_WITH_CLOCK, Ledger, at
from tests.database.ledger.reports import steady

if TYPE_CHECKING:
    import psycopg


@pytest.fixture
def ledger(connection: psycopg.Connection) -> Ledger:
    """A database with the ledger; its clock stands at midnight of 1 October 2026, UTC, until a test sets it."""
    connection.execute(CLOCK)
    connection.execute(SQL_WITH_CLOCK.encode())
    connection.execute(f"SET search_path = {SEARCH_PATH}".encode())
    return Ledger(connection)


@pytest.fixture
def hour(ledger: Ledger) -> Ledger:
    """Device a was heard from 08:00 on, but for 08:30 to 08:45; it is 09:00."""
    steady(ledger, "a", at("08:00"), at("08:30"))
    steady(ledger, "a", at("08:45"), at("09:00"))
    ledger.now(at("09:00"))
    return ledger
