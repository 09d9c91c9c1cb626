"""The hvac-heartbeat command.

Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; where a package that it needs is missing, name the one call of pip that installs it."""
    try:
        from hvac_heartbeat.cli.app import main as run

        run()
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("hvac_heartbeat"):
            raise
        install = f"{sys.executable} -m pip install 'hvac-heartbeat[cli]'"
        sys.stderr.write(f"error: {missing.name} is not installed; run {install}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
