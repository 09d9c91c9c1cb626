"""What `python lambda_function.py` does; needs nothing but what ships to Lambda."""

from __future__ import annotations

import argparse
import json
import os
import sys

from hvac_heartbeat.cli.consent import ask_before_writing
from hvac_heartbeat.cli.database import opened
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.cli.invoke import invoke, read_event
from hvac_heartbeat.errors import HvacHeartbeatError, SettingsError
from hvac_heartbeat.local.broken_pipe import discard_output
from hvac_heartbeat.local.events import sample
from hvac_heartbeat.settings import Settings


def main() -> None:
    """Send the two sample events and print each answer, after the log line that CloudWatch would get."""
    arguments = argparse.ArgumentParser(
        prog="python lambda_function.py",
        description="Send the two sample events through the Lambda handler to the database that DB_HOST, DB_PORT, "
        "DB_NAME, DB_USER and DB_PASSWORD name, and print the answers.",
        epilog="Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong.",
    )
    arguments.add_argument("--yes", action="store_true", help="do not ask before writing to another machine")
    yes = arguments.parse_args().yes
    try:
        good = _send_samples(yes=yes)
        sys.stdout.flush()
    except HvacHeartbeatError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, SettingsError | CallRefused) else 1)
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    if not good:
        sys.exit(1)


def _send_samples(*, yes: bool) -> bool:
    settings = Settings.from_environment(os.environ)
    ask_before_writing(settings, yes=yes)
    with opened(settings):  # says at once what the handler would only give up on
        pass
    good = True
    for name in ("single", "batch"):
        done = invoke(read_event(sample(name).read_text(encoding="utf-8"), name))
        good = good and done.is_good
        sys.stdout.write(f"{done.log}events/{name}.json -> {json.dumps(done.answer)}\n")
    return good
