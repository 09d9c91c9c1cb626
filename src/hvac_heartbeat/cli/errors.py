"""What the command refuses or is refused, and what a person can do about it."""

from __future__ import annotations

from hvac_heartbeat.errors import HvacHeartbeatError


class CallRefused(HvacHeartbeatError):
    """The command was called with something it cannot use; the message says what to change. Exit code 2."""


class DatabaseRefused(HvacHeartbeatError):
    """The database did not do what the command asked; the message says what to do. Exit code 1."""
