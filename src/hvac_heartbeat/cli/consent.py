"""Asks a person before made-up devices go to somebody's database on another machine."""

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


def ask_before_writing(settings: Settings, *, yes: bool, what: str = "the four sample devices") -> None:
    """Return when `what` may be written: on this machine, after --yes, or when a person agrees; raises as `ask`."""
    if not yes and not is_this_machine(settings.host):
        ask(f"DB_HOST names another machine ({place(settings)})", what)


def ask(where: str, what: str) -> None:
    """Return when a person agrees.

    Raises:
        CallRefused: nobody is there to ask.
        Declined: the person did not agree.
    """
    if not sys.stdin.isatty():
        raise CallRefused(f"{where}; nothing was written: pass --yes to write {what} there")
    sys.stderr.write(f"{where}.\nWrite {what} there? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Declined
