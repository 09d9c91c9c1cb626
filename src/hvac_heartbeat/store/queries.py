"""Loads `queries.sql`, where every statement has a name and a line of description."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_HEADER = re.compile(r"^-- name: (?P<name>\w+)$", re.MULTILINE)


@cache
def queries() -> dict[str, str]:
    """Return every statement of `queries.sql` by name, without comments and surrounding white space."""
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    _, *parts = _HEADER.split(text)
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
