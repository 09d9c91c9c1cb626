"""The hvac-heartbeat command.

Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong.
"""

from hvac_heartbeat.cli.app import main

__all__ = ["main"]
