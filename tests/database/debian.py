"""Parts that come from Debian: a PostgreSQL server with TLS, and PgBouncer. CI fails without them, others skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def left_out(what: str, package: str) -> None:
    """Leave a test out and say why, or fail it where everything has to be there."""
    message = f"left out: {what} is not here (apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def bindir_with_tls() -> Path:
    """Return the newest of Debian's servers, which are built with OpenSSL; the embedded one is not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        left_out("a PostgreSQL server with TLS", "postgresql")
    return found[-1].parent


def pgbouncer() -> Path:
    """Return the program."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        left_out("PgBouncer", "pgbouncer")
    return Path(str(found))
