"""Every setting this function has, read from one mapping of environment variables and checked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hvac_heartbeat.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings(msgspec.Struct, frozen=True):
    """How to reach the database, and what to accept."""

    host: str
    name: str
    user: str
    password: str | None = None
    port: int = 5432
    sslmode: str = "prefer"
    new_devices: Literal["accept", "reject"] = "accept"
    device_claim: str | None = None
    site_claim: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read DB_* and HEARTBEAT_* variables; an empty one counts as absent.

        Raises:
            SettingsError: naming every variable that is missing or cannot be used; it never shows a value of a secret.
        """
        given = {name: value for name, value in environment.items() if value}
        missing = tuple(name for name in ("DB_HOST", "DB_NAME", "DB_USER") if name not in given)
        if missing:
            raise SettingsError(f"set {', '.join(missing)}: the database to write to", variables=missing)
        inside_lambda = "AWS_LAMBDA_FUNCTION_NAME" in given
        new_devices = given.get("HEARTBEAT_NEW_DEVICES", "accept")
        if new_devices not in ("accept", "reject"):
            raise SettingsError("HEARTBEAT_NEW_DEVICES must be accept or reject", variables=("HEARTBEAT_NEW_DEVICES",))
        return cls(
            host=given["DB_HOST"],
            name=given["DB_NAME"],
            user=given["DB_USER"],
            password=given.get("DB_PASSWORD"),
            port=_port(given.get("DB_PORT", "5432")),
            sslmode=given.get("DB_SSLMODE", "verify-full" if inside_lambda else "prefer"),
            new_devices="reject" if new_devices == "reject" else "accept",
            device_claim=_claim(given, "HEARTBEAT_DEVICE_CLAIM"),
            site_claim=_claim(given, "HEARTBEAT_SITE_CLAIM"),
        )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise SettingsError("DB_PORT must be a number from 1 to 65535", variables=("DB_PORT",))
    return int(text)


def _claim(given: Mapping[str, str], name: str) -> str | None:
    """Return the path of a claim; a bare name is one of a JSON Web Token."""
    path = given.get(name)
    if path is None:
        return None
    if not all(part.strip() for part in path.split(".")):
        raise SettingsError(
            f"{name} must be a path into the authorizer's answer, such as jwt.claims.sub", variables=(name,)
        )
    return path if "." in path else f"jwt.claims.{path}"
