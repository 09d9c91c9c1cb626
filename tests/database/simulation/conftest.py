"""What the tests of the simulation stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.aws import handler

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg


@pytest.fixture
def ledger(connection: psycopg.Connection, environment: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A database with the ledger, which DB_* names."""
    schema.migrate(connection)
    handler.reset()
    yield connection
    handler.reset()
