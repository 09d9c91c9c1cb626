"""What a distributed PostgreSQL asks of a statement that writes (docs/decisions/0031), held against what is sent.

Citus refuses a call behind ON CONFLICT that is not immutable, and in an UPDATE or DELETE one that is volatile, or that
is stable and looks at a column. PostgreSQL says itself what a statement calls, and how volatile that is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler as wiring
from tests.database.ledger_law.schema import LEDGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    Handler = Callable[[object], Any]

INSERT, UPDATE, DELETE = "3", "2", "4"
WRITES = re.compile(r"\{QUERY :commandType ([234]) ")
CALL = re.compile(r"\{[A-Z]+ (?::opno \d+ )?:(?:func|opfunc)id (\d+) ")
# These call functions without naming them: now() by another name, and a cast by way of text.
HIDDEN_CALL = re.compile(r"\{(SQLVALUEFUNCTION|COERCEVIAIO) ")
NOW = datetime.now(UTC)


class Session:
    """A session that tells what PostgreSQL has understood of each of its statements, those of its triggers included."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        found = connection.execute("SELECT oid::text, oid::regprocedure::text, provolatile::text FROM pg_proc")
        self._functions = {oid: (name, volatility) for oid, name, volatility in found}
        self._trees: list[str] = []
        connection.add_notice_handler(lambda said: self._trees.append(" ".join((said.message_detail or "").split())))
        connection.execute("SET client_min_messages = log; SET debug_pretty_print = off; SET debug_print_parse = on")
        self._trees.clear()

    def written_by(self) -> set[str]:
        """Return the commands of the statements that wrote, by their numbers in PostgreSQL's nodes.h."""
        return {command[1] for tree in self._trees for node in nodes(tree) if (command := WRITES.match(node))}

    def refused(self) -> set[str]:
        """Return what these statements call and Citus refuses."""
        refused = set()
        for part in (node for tree in self._trees for node in nodes(tree)):
            if part.startswith("{ONCONFLICTEXPR "):
                refused |= set(HIDDEN_CALL.findall(part))
                refused |= {name for node in nodes(part) for name in self._calls(node, "vs")}
            elif (command := WRITES.match(part)) and command[1] != INSERT:
                for node in nodes(part):
                    refused |= self._calls(node, "vs" if "{VAR " in node else "v")
        return refused

    def _calls(self, node: str, volatilities: str) -> set[str]:
        call = CALL.match(node)
        name, volatility = self._functions[call[1]] if call else ("", "i")
        return {name} if volatility in volatilities else set()


def nodes(tree: str) -> Iterator[str]:
    """Yield every node of a tree, each with all that is under it."""
    begun = []
    for brace in re.finditer(r"(?<!\\)[{}]", tree):
        if brace[0] == "{":
            begun.append(brace.start())
        else:
            yield tree[begun.pop() : brace.end()]


def beat(device: str, minutes: float) -> dict[str, Any]:
    return {"device_id": device, "site_id": "s", "received_at": (NOW + timedelta(minutes=minutes)).isoformat()}


@pytest.mark.parametrize("new_devices", ["accept", "reject"])
def test_what_heartbeats_send_may_run_on_a_shard(
    monkeypatch: pytest.MonkeyPatch, handler: Handler, connection: psycopg.Connection, new_devices: str
) -> None:
    """One and many, new and known, late ones, and a time that another program has taken back."""
    monkeypatch.setenv("HEARTBEAT_NEW_DEVICES", new_devices)
    connection.execute(LEDGER)
    connection.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 's', '2026-01-01')")
    handler(beat("d", -90))
    assert wiring._container is not None
    assert wiring._container.database._connection is not None
    session = Session(wiring._container.database._connection)
    handler(beat("d", -60))
    handler([beat("d", -50), beat("new", -50)])
    handler([beat("d", -55), beat("d", -120)])
    connection.execute("UPDATE device_state SET last_seen_ts = '-infinity'")
    handler(beat("d", -70))
    assert session.written_by() == {INSERT, UPDATE, DELETE}
    assert session.refused() == set()


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        (
            (
                "INSERT INTO device_state AS stored (device_id, site_id, last_seen_ts) VALUES ('d', 's', now())"
                " ON CONFLICT (device_id) DO UPDATE SET last_seen_ts = excluded.last_seen_ts"
                " WHERE stored.last_seen_ts > now() + interval '5 minutes'"
            ),
            {"now()", "timestamptz_pl_interval(timestamp with time zone,interval)"},
        ),
        (
            (
                "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 's', now())"
                " ON CONFLICT (device_id) DO UPDATE SET updated_at = current_timestamp"
            ),
            {"SQLVALUEFUNCTION"},
        ),
        (
            "UPDATE device_state SET last_seen_ts = now() WHERE last_seen_ts + interval '1 day' < now()",
            {"timestamptz_pl_interval(timestamp with time zone,interval)"},
        ),
        ("DELETE FROM device_state WHERE random() < 0.5 AND last_seen_ts < now()", {"random()"}),
    ],
)
def test_what_citus_refuses_is_found(connection: psycopg.Connection, statement: str, refused: set[str]) -> None:
    session = Session(connection)
    connection.execute(statement.encode())
    assert session.refused() == refused
