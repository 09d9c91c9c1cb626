"""What the facts about a server mean for the function: one generator for each thing that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.store.queries import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    Facts = Mapping[str, Any]

_OLDEST, _NEWEST = 140_000, 190_000


def server(facts: Facts) -> Iterator[Finding]:
    """Say whether this is a server that can be written to, of a version that is tested."""
    timescaledb = f", TimescaleDB {facts['timescaledb']}" if facts["timescaledb"] else ""
    found = f"PostgreSQL {facts['version']}{timescaledb}, database {facts['name']}, role {facts['role']}"
    if facts["version_num"] < _OLDEST:
        yield Finding("server", Level.WRONG, found, "Use PostgreSQL 14 or newer.")
    elif facts["version_num"] >= _NEWEST:
        yield Finding("server", Level.NOTE, found, "Newer than every version this was tested on (14 to 18).")
    else:
        yield Finding("server", Level.OK, found)
    if facts["standby"] or facts["read_only"]:
        who = quoted(facts["role"])
        why = "a standby" if facts["standby"] else "read-only for this role"
        yield Finding(
            "server",
            Level.WRONG,
            f"it is {why}",
            "Name the primary in DB_HOST.",
            "" if facts["standby"] else f"ALTER ROLE {who} RESET default_transaction_read_only",
        )
    if facts["isolation"] != "read committed":
        yield Finding(
            "server",
            Level.WARNING,
            f"transactions are {facts['isolation']} by default",
            "Batches will be refused with 40001 and sent again.",
            f"ALTER ROLE {quoted(facts['role'])} SET default_transaction_isolation = 'read committed'",
        )
    if facts["synchronous_commit"] == "off":
        yield Finding(
            "server",
            Level.NOTE,
            "synchronous_commit is off",
            "A crash of the server can lose heartbeats that were acknowledged within the last second.",
        )


def clock(ahead: timedelta) -> Iterator[Finding]:
    """Compare the database's clock, which heartbeats without a time of their own get, with this machine's."""
    seconds = ahead.total_seconds()
    found = f"the database's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(seconds) < 2:  # noqa: PLR2004 - a busy machine, not a wrong clock
        yield Finding("clock", Level.OK, found)
    else:
        level = Level.WARNING if abs(seconds) < 60 else Level.WRONG  # noqa: PLR2004 - half of what makes a device stale
        yield Finding("clock", level, found, "Have both synchronise with NTP: a device's age is measured between them.")


def pooler(backend: int, told: int) -> Iterator[Finding]:
    """Say whether a pooler or a proxy answers in the server's place."""
    if backend == told:
        yield Finding("pooler", Level.OK, "none: connected to the server itself")
    else:
        yield Finding("pooler", Level.OK, "a pooler or proxy in between; the function needs no session of its own")


def no_table(facts: Facts) -> Finding:
    """Say that the table is not where the role looks."""
    schemas = ", ".join(facts["schemas"]) or "nowhere"
    return Finding(
        "table",
        Level.WRONG,
        f"device_state is not on the role's search_path ({schemas})",
        "Run `hvac-heartbeat migrate`, or lead the role to the schema that holds the table.",
        f"ALTER ROLE {quoted(facts['role'])} SET search_path = the_schema, public",
    )
