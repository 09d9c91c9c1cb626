"""A fleet with a ledger, its heartbeats, and the command that asks for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hvac_heartbeat.cli.invoke import invoke

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.end_to_end.command import Ended

READING = (
    *(("status",), ("status", "--json"), ("silences",), ("silences", "--json"), ("report",)),
    *(("report", "--format", "csv"), ("policy", "show"), ("maintenance", "list", "--all"), ("deaf", "list", "--all")),
)


class Fleet(NamedTuple):
    """A database with the ledger, and ways to write heartbeats and to call the command."""

    call: Callable[..., Ended]
    connection: psycopg.Connection

    def heartbeats(self, device: str, site: str, *times: str | timedelta, **fields: object) -> None:
        """Send heartbeats that arrived at these times, or that long ago."""
        for time in times:
            seen = (datetime.now(UTC) - time).isoformat() if isinstance(time, timedelta) else time
            invoke({"device_id": device, "site_id": site, "received_at": seen, **fields})

    def out(self, *arguments: str) -> str:
        """Call the command, which must be good and fit 80 columns, and return what it printed."""
        ended = self.call(*arguments)
        assert (ended.code, ended.err) == (0, ""), ended
        if not {"--json", "--format"} & set(arguments):
            assert max(map(len, ended.out.splitlines())) <= 80
        return ended.out

    def json(self, *arguments: str) -> Any:
        """Call the command with --json and return what it printed."""
        return json.loads(self.out(*arguments, "--json"))


def minutes(*ago: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=one) for one in ago)
