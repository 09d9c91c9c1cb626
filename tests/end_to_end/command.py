"""How one call of the command ended, and what it is held to."""

from __future__ import annotations

from typing import NamedTuple


class Ended(NamedTuple):
    """How one call of the command ended."""

    code: int
    out: str
    err: str


def is_one_line(text: str) -> bool:
    """Tell whether this is one error, told in one line."""
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


# Three devices that are stale, one of them with a name that a terminal would obey, and one that is not.
SILENT = """
INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES
    ('old', 'north', now() - interval '1 day'), ('older', 'south', now() - interval '2 days'),
    ('[red]fresh\x1b[2J', 'north', now() - interval '3 minutes'), ('alive', 'north', now())
"""
