"""The SQL that mends a finding: only what fixes.sql holds can be suggested."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NewType

from hvac_heartbeat.store.queries import queries

Fix = NewType("Fix", str)
FIXES: Final = Path(__file__).with_name("fixes.sql")
NO_FIX: Final = Fix("")


def fix(name: str, **parts: str) -> Fix:
    """Fill in a statement of fixes.sql; the parts are SQL already, quoted where they have to be."""
    return Fix(queries(FIXES)[name].format(**parts))
