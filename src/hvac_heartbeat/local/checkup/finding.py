"""What a checkup finds."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hvac_heartbeat.local.checkup.fixes import NO_FIX, Fix


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, nothing to do."""
    WARNING = "warning"
    """It works, at a price."""
    WRONG = "wrong"
    """It does not work, or not safely."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: what is there, a line of advice, and the SQL that would mend it."""

    subject: str
    level: Level
    found: str
    advice: str = ""
    sql: Fix = NO_FIX
