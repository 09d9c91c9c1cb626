"""The variables that deploy.sh reads, and what each may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployment import sources
from deployment.target import MACHINES

if TYPE_CHECKING:
    from collections.abc import Mapping

# As in the mission ("128MB is sufficient for most use cases", "default: 30 seconds").
DEFAULTS = {"MEMORY": 128, "TIMEOUT": 30}
LIMITS = {"MEMORY": (128, 10_240), "TIMEOUT": (1, 900), "CONCURRENCY": (0, 1_000_000)}
OURS = (
    "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_SSLMODE", "DB_SSLROOTCERT",
    "HEARTBEAT_NEW_DEVICES", "HEARTBEAT_DEVICE_CLAIM", "HEARTBEAT_SITE_CLAIM",
)  # fmt: skip
CREDENTIALS = ("DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH")


class SettingError(Exception):
    """A variable cannot be used; the message names it and says what it may be."""


def check(wanted: Mapping[str, str]) -> None:
    """Look at every variable that needs no account; raises SettingError for the first that cannot be used."""
    for name, (least, most) in LIMITS.items():
        if wanted.get(name) and not (wanted[name].isdecimal() and least <= int(wanted[name]) <= most):
            raise SettingError(f"{name} is to be a whole number from {least} to {most:,}, not {wanted[name]!r}")
    credentials(wanted)
    for one, other in (("SUBNET_IDS", "SECURITY_GROUP_IDS"), ("IOT_ERROR_QUEUE_URL", "IOT_ERROR_ROLE_ARN")):
        if bool(wanted.get(one)) != bool(wanted.get(other)):
            raise SettingError(f"{one} and {other} belong together; set both or neither")
    if wanted.get("ARCHITECTURE") and wanted["ARCHITECTURE"] not in MACHINES:
        raise SettingError(f"ARCHITECTURE is to be {' or '.join(MACHINES)}, not {wanted['ARCHITECTURE']}")
    if wanted.get("API_AUTH") and wanted["API_AUTH"] not in {"iam", "jwt"}:
        raise SettingError(f"API_AUTH is to be iam or jwt, not {wanted['API_AUTH']}")
    if wanted.get("API_AUTH") == "jwt" and not (wanted.get("JWT_ISSUER") and wanted.get("JWT_AUDIENCE")):
        raise SettingError("API_AUTH=jwt needs JWT_ISSUER and JWT_AUDIENCE")
    if wanted.get("SCHEDULE_INPUT"):
        try:
            sources.target("", wanted, [])
        except (OSError, ValueError) as error:
            raise SettingError(f"SCHEDULE_INPUT is to be a file with an event in JSON: {error}") from error


def credentials(wanted: Mapping[str, str]) -> list[str]:
    """The variable that says how the function logs in, or none; raises SettingError for two that contradict."""
    given = [name for name in CREDENTIALS if wanted.get(name) and wanted[name].lower() != "false"]
    if len(given) > 1:
        raise SettingError(f"{' and '.join(given)} are both set; unset all but one")
    return given


def number(wanted: Mapping[str, str], name: str, current: int | None) -> int:
    """The variable as a number; unset, the function's own value, and for a new function the default."""
    return int(wanted.get(name) or current or DEFAULTS[name])
