"""The function as a role that may write device_state and nothing else, beside a ledger that may be broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from psycopg import sql

from hvac_heartbeat.aws import handler as wiring
from hvac_heartbeat.aws.handler import lambda_handler
from tests.database.ledger_law.schema import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from psycopg.errors import Diagnostic

NOW = datetime.now(UTC)
RETURNING = 1_000


class Function:
    """The function, as a role that may write device_state and nothing else, with its container warm."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.warnings: list[str] = []
        self.send(*(beat(f"r{number}", -600) for number in range(RETURNING)))
        assert wiring._container is not None
        assert wiring._container.database._connection is not None
        wiring._container.database._connection.add_notice_handler(self._note)

    def _note(self, said: Diagnostic) -> None:
        self.warnings.append(f"{said.severity_nonlocalized}: {said.message_primary}")

    def send(self, *bodies: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """Send an event; return the answer's body and what the log line says of the ledger."""
        self._capsys.readouterr()
        answer: Any = lambda_handler({"devices": list(bodies)}, None)
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"]), json.loads(self._capsys.readouterr().out).get("ledger")


def beat(device: str, second: float) -> dict[str, Any]:
    return {"device_id": device, "site_id": "s", "received_at": (NOW + timedelta(seconds=second)).isoformat()}


@pytest.fixture
def ledger(connection: psycopg.Connection) -> None:
    connection.execute(LEDGER)


@pytest.fixture
def roles(connection: psycopg.Connection) -> Iterator[dict[str, sql.Identifier]]:
    """The function's role, and one without any right."""
    found = {name: sql.Identifier(f"{name}_{uuid4().hex[:8]}") for name in ("writer", "nobody")}
    connection.execute(sql.SQL("CREATE ROLE {writer} LOGIN PASSWORD 'writer'; CREATE ROLE {nobody}").format(**found))
    connection.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE ON device_state TO {writer}").format(**found))
    yield found
    connection.execute(
        sql.SQL("DROP OWNED BY {writer}, {nobody} CASCADE; DROP ROLE {writer}, {nobody}").format(**found)
    )


@pytest.fixture
def function(
    environment: dict[str, str],
    roles: dict[str, sql.Identifier],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Function]:
    monkeypatch.setenv("DB_USER", roles["writer"].as_string().strip('"'))
    monkeypatch.setenv("DB_PASSWORD", "writer")
    wiring.reset()
    yield Function(capsys)
    wiring.reset()
