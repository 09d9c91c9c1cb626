"""What `python lambda_function.py` does: the two sample events against the database that DB_* names."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from hvac_heartbeat.aws.handler import lambda_handler
from hvac_heartbeat.errors import HvacHeartbeatError, SettingsError
from hvac_heartbeat.local.events import sample
from hvac_heartbeat.local.invocation import Invocation
from hvac_heartbeat.local.reader import give_up_on_the_reader
from hvac_heartbeat.settings import Settings


def main() -> None:
    """Print each answer, after the log line that CloudWatch would get; needs nothing but what ships to Lambda.

    Exit codes as the hvac-heartbeat command's: 1 when something was refused or failed, 2 when variables are missing.
    """
    try:
        good = _play()
        sys.stdout.flush()
    except HvacHeartbeatError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    except BrokenPipeError:
        give_up_on_the_reader()
        sys.exit(1)
    if not good:
        sys.exit(1)


def _play() -> bool:
    good = True
    Settings.from_environment(os.environ)
    for name in ("single", "batch"):
        answer: Any = lambda_handler(json.loads(sample(name).read_text(encoding="utf-8")), Invocation())
        good = good and answer["statusCode"] == 200  # noqa: PLR2004 - an HTTP status
        sys.stdout.write(f"events/{name}.json -> {json.dumps(answer)}\n")
    return good
