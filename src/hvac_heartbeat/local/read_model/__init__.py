"""The read model: what the read API and the fleet page ask of the database (`model`), and its answers (`answers`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATEMENTS: Final = Path(__file__).with_name("statements.sql")
