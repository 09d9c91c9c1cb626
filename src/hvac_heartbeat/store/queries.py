"""Loads files of SQL, where every statement has a name and a line of description; `queries.sql` is the store's own."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_HEADER = re.compile(r"^-- name: (?P<name>\w+)$", re.MULTILINE)
_OWN = Path(__file__).with_name("queries.sql")


@cache
def queries(file: Path = _OWN) -> dict[str, str]:
    """Return every statement of a file by name, without comments and surrounding white space."""
    _, *parts = _HEADER.split(file.read_text(encoding="utf-8"))
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
