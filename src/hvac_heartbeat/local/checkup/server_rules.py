"""What the facts about a server mean for the function: one generator for each thing that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.fixes import NO_FIX, fix

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
    if facts["standby"]:
        yield Finding("server", Level.WRONG, "it is a standby", "Name the primary in DB_HOST.")
    elif facts["read_only"]:
        yield _read_only(facts)
    if facts["isolation"] != "read committed":
        yield Finding(
            "server",
            Level.WARNING,
            f"transactions are {facts['isolation']} by default",
            "The database refuses some batches with 40001, and the function sends them again.",
            fix("read_committed", role=facts["role_sql"], database=facts["name_sql"]),
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
    """Say that the table is not where the role looks, and where it is."""
    schemas, homes = ", ".join(facts["schemas"]) or "nowhere", facts["homes"]
    found = f"device_state is not on the role's search_path ({schemas})"
    if not homes:
        return Finding("table", Level.WRONG, found, "No schema has it: run `hvac-heartbeat migrate`.")
    path = ", ".join([homes[0], facts["path"]] if facts["path"] else homes[:1])
    return Finding(
        "table",
        Level.WRONG,
        found,
        f"Lead the role to the schema that holds the table: {' or '.join(homes)}.",
        fix("find_table", schema=homes[0], role=facts["role_sql"], database=facts["name_sql"], path=path)
        if len(homes) == 1
        else NO_FIX,
    )


def _read_only(facts: Facts) -> Finding:
    names = {"role": facts["role_sql"], "database": facts["name_sql"]}
    # Some hosts make a whole database read-only because its disk is full: that is not to be overridden.
    advice, mended = "Somebody set default_transaction_read_only for more than this role: find out why.", NO_FIX
    if facts["read_only_source"] == "user":
        advice, mended = "Take the role's default_transaction_read_only back.", fix("write_again", **names)
    elif facts["read_only_source"] == "database user":
        advice, mended = "Take the role's default_transaction_read_only back.", fix("write_again_here", **names)
    return Finding("server", Level.WRONG, "it is read-only for this role", advice, mended)
