"""The storage settings that a table of heartbeats wants: room beside every row, and a vacuum that comes often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hvac_heartbeat.local.checkup.fixes import fix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hvac_heartbeat.local.checkup.fixes import Fix

# Measured with fillfactor 70: every update stays on its page (100 % HOT) once pages have that room
# (docs/performance.md). A whole fleet writes every row every minute, so a vacuum at 20 % dead rows comes too late.
WANTED: Final = {
    "fillfactor": "70",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_threshold": "500",
    "autovacuum_analyze_scale_factor": "0.2",
}
HIGHEST_FILLFACTOR: Final = 85


def storage(options: Sequence[str]) -> dict[str, str]:
    """Return a table's storage settings (pg_class.reloptions) by name."""
    return dict(option.split("=", 1) for option in options)


def missing(options: Mapping[str, str]) -> dict[str, str]:
    """Return the wanted settings that a table lacks; those that somebody has set already count as wanted."""
    lacking = {name: value for name, value in WANTED.items() if name not in options}
    if int(options.get("fillfactor", "100")) > HIGHEST_FILLFACTOR:
        lacking["fillfactor"] = WANTED["fillfactor"]
    return lacking


def statement_to_tune(table: str, options: Sequence[str]) -> Fix | None:
    """Return the statement that gives `table` (its name in SQL) what it lacks; None when it lacks nothing."""
    lacking = missing(storage(options))
    if not lacking:
        return None
    settings = ", ".join(f"{name} = {value}" for name, value in lacking.items())
    return fix("tune", table=table, settings=settings)
