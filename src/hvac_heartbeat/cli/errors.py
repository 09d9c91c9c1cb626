"""What the command refuses or is refused, and what a person can do about it."""

from __future__ import annotations

from hvac_heartbeat.errors import HvacHeartbeatError

# What to do about the errors that a person can mend (PostgreSQL manual, appendix A).
_ADVICE = {
    "28P01": "the password is wrong: check DB_USER and DB_PASSWORD",
    "28000": "the server does not let this user in: check DB_USER and the server's pg_hba.conf",
    "3D000": "there is no such database: check DB_NAME",
    "42P01": "device_state or v_devices_stale is not there: run `hvac-heartbeat migrate`, "
    "or check the role's search_path",
    "42501": "the role lacks a right: grant it SELECT, INSERT and UPDATE on device_state, SELECT on v_devices_stale",
    "25006": "the server is read-only, perhaps a standby: check DB_HOST",
    "53300": "the server has no connection left: try again, or raise max_connections",
}


class CallRefused(HvacHeartbeatError):
    """The command was called with something it cannot use; the message says what to change. Exit code 2."""


class DatabaseRefused(HvacHeartbeatError):
    """The database did not do what the command asked; the message says what to do. Exit code 1."""


def advice(sqlstate: str | None) -> str | None:
    """Return what a person can do about an error of the server, None where we know nothing better."""
    return _ADVICE.get(sqlstate or "")
