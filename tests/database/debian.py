"""Parts that come from Debian: a PostgreSQL server with TLS, and PgBouncer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.skips import skip_or_fail


def bindir_with_tls() -> Path:
    """Return the newest of Debian's servers, which are built with OpenSSL; the embedded one is not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        skip_or_fail("a PostgreSQL server with TLS is not here", "`apt-get install postgresql`")
    return found[-1].parent


def pgbouncer() -> Path:
    """Return the program."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        skip_or_fail("PgBouncer is not here", "`apt-get install pgbouncer`")
    return Path(found)


def psql() -> Path:
    """Return the newest of Debian's psql programs; the embedded server comes without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: int(path.parts[-3]))
    if not found:
        skip_or_fail("psql is not here", "`apt-get install postgresql`")
    return found[-1]
