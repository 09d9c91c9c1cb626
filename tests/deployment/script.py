"""One run of deploy.sh, and what it left in the table."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployment.package import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

NAME = "hvac-heartbeat-updater"
PASSWORD = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Run:
    """How one run of deploy.sh ended."""

    code: int
    out: str
    err: str

    @property
    def done(self) -> list[str]:
        """What it says it did, or would or will do."""
        return [line.split(" ", 1)[1] for line in self.out.splitlines() if line.startswith(("did ", "would ", "will "))]


def deploy(environment: dict[str, str], *options: str, checkout: Path = ROOT) -> Run:
    """Run deploy.sh in exactly this environment."""
    ended = subprocess.run(
        [str(checkout / "deploy.sh"), *options],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    return Run(ended.returncode, ended.stdout, ended.stderr)


def seen(database: Database, device_id: str) -> tuple[str, str | None] | None:
    """Return site and status of a device that is in the table."""
    with database.connect() as connection:
        return connection.execute(
            "SELECT site_id, status FROM device_state WHERE device_id = %s", [device_id]
        ).fetchone()
