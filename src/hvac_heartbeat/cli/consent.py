"""Asks a person before sample devices go to somebody's database on another machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hvac_heartbeat.cli.database import is_this_machine, place
from hvac_heartbeat.cli.errors import CallRefused
from hvac_heartbeat.errors import HvacHeartbeatError

if TYPE_CHECKING:
    from hvac_heartbeat.settings import Settings


class Declined(HvacHeartbeatError):
    """Nothing was written, because the answer was no."""


def ask_before_writing(settings: Settings, *, yes: bool) -> None:
    """Return when the sample devices may be written: on this machine, after --yes, or when a person agrees.

    Raises:
        CallRefused: nobody is there to ask.
        Declined: the person did not agree.
    """
    if yes or is_this_machine(settings.host):
        return
    where = f"DB_HOST names another machine ({place(settings)})"
    if not sys.stdin.isatty():
        raise CallRefused(f"{where}; nothing was written: pass --yes to write the four sample devices there")
    sys.stderr.write(f"{where}.\nWrite the four sample devices there? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Declined
