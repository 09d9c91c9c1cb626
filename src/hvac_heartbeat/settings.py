"""Every setting this function has, read from one mapping of environment variables and checked at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from hvac_heartbeat.channels import Channels
from hvac_heartbeat.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VERIFIED_OR_SECRET = SSLMODES[3:]  # what an IAM token, which is a password in clear text, may travel over
_HOST = re.compile(r"[/@].+|[\w.:%-]*\w[\w.:%-]*", re.ASCII)  # a socket; a name or an address
_HOST_AND_PORT = re.compile(r"[^:]+:\d+|\[.*\]:\d+")


class Settings(msgspec.Struct, frozen=True):
    """How to reach the database, and what to accept.

    With `secret_arn`, an empty `host`, `name` or `user` and a `port` of None are the secret's to say.
    """

    host: str = ""
    name: str = ""
    user: str = ""
    password: str | None = None
    port: int | None = None
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    secret_arn: str | None = None
    iam_auth: bool = False
    region: str | None = None
    new_devices: str = "accept"
    device_claim: str | None = None
    site_claim: str | None = None
    log: str = "each"
    channels: Channels = Channels()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read DB_* and HEARTBEAT_* variables; an empty one counts as absent.

        AWS's own variables say where we run and in which region ("Defined runtime environment variables", AWS Lambda
        Developer Guide). Raises SettingsError, which names what is missing or cannot be used and shows no secret.
        """
        given = {name: value for name, value in environment.items() if value}
        _check_nul(given)
        iam_auth = _choice(given, "DB_IAM_AUTH", ("true", "false"), "false") == "true"
        _check_credentials(given, iam_auth=iam_auth)
        return cls(
            host=_host(given),
            name=given.get("DB_NAME", ""),
            user=given.get("DB_USER", ""),
            password=given.get("DB_PASSWORD"),
            port=_port(given),
            sslmode=_sslmode(given, iam_auth=iam_auth),
            sslrootcert=given.get("DB_SSLROOTCERT"),
            secret_arn=given.get("DB_SECRET_ARN"),
            iam_auth=iam_auth,
            region=_region(given, iam_auth=iam_auth),
            new_devices=_choice(given, "HEARTBEAT_NEW_DEVICES", ("accept", "reject"), "accept"),
            device_claim=_claim(given, "HEARTBEAT_DEVICE_CLAIM"),
            site_claim=_claim(given, "HEARTBEAT_SITE_CLAIM"),
            log=_choice(given, "HEARTBEAT_LOG", ("minute", "each"), "minute" if _is_in_lambda(given) else "each"),
            channels=Channels.from_environment(given),
        )

    def __repr__(self) -> str:
        """Show every setting but the password, so that no log line and no traceback can hold it."""
        shown = asdict(self) | {"password": self.password and "…"}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _check_nul(given: Mapping[str, str]) -> None:
    # To libpq a text ends there, and with it everything behind it, sslmode too.
    spoilt = [name for name, value in given.items() if name.startswith("DB_") and "\0" in value]
    if spoilt:
        raise SettingsError(f"{', '.join(spoilt)}: a NUL character cannot be used")


def host_complaint(text: str) -> str | None:
    """Return why a text cannot be the database's host, or several with commas between; None when it can."""
    for host in text.split(","):
        if "://" in host:
            return "takes the name of a host, not a URL"
        if _HOST_AND_PORT.fullmatch(host):
            return "takes the name of a host alone: the port belongs in DB_PORT"
        if not _HOST.fullmatch(host):
            return "must be the name or the address of a host, or the folder of a unix socket"
    return None


def _host(given: Mapping[str, str]) -> str:
    host = given.get("DB_HOST", "")
    complaint = host_complaint(host) if host else None
    if complaint:
        raise SettingsError(f"DB_HOST {complaint}")
    return host


def _check_credentials(given: Mapping[str, str], *, iam_auth: bool) -> None:
    ways = [name for name in ("DB_PASSWORD", "DB_SECRET_ARN") if name in given] + ["DB_IAM_AUTH"] * iam_auth
    if len(ways) > 1:
        raise SettingsError(f"set only one of {' and '.join(ways)}: they contradict each other")
    if ways == ["DB_SECRET_ARN"]:
        return
    missing = ", ".join(name for name in ("DB_HOST", "DB_NAME", "DB_USER") if name not in given)
    if missing:
        raise SettingsError(f"set {missing} to name the database, or DB_SECRET_ARN to a secret that does")
    # On a unix socket the server may know us by our account.
    if not ways and not given["DB_HOST"].startswith("/"):
        ways_in = "DB_PASSWORD, or DB_SECRET_ARN, or DB_IAM_AUTH=true"
        raise SettingsError(f"set {ways_in}: the function has nothing to log in with")


def _sslmode(given: Mapping[str, str], *, iam_auth: bool) -> str:
    default = "verify-full" if iam_auth or _is_in_lambda(given) else "prefer"
    sslmode = _choice(given, "DB_SSLMODE", SSLMODES, default)
    if iam_auth and sslmode not in _VERIFIED_OR_SECRET:
        taken = ", ".join(_VERIFIED_OR_SECRET)
        raise SettingsError(f"DB_SSLMODE must be one of {taken} with DB_IAM_AUTH: a token is sent as it is")
    return sslmode


def _region(given: Mapping[str, str], *, iam_auth: bool) -> str | None:
    region = given.get("AWS_REGION", given.get("AWS_DEFAULT_REGION"))
    if iam_auth and region is None:
        raise SettingsError("set AWS_REGION with DB_IAM_AUTH: a token is made for one region")
    return region


def _is_in_lambda(given: Mapping[str, str]) -> bool:
    return "AWS_LAMBDA_FUNCTION_NAME" in given


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    chosen = given.get(name, default).lower()
    if chosen not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}")
    return chosen


def _port(given: Mapping[str, str]) -> int | None:
    text = given.get("DB_PORT")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise SettingsError("DB_PORT must be a number from 1 to 65535")
    return int(text)


def _claim(given: Mapping[str, str], name: str) -> str | None:
    """Return the path of a claim; a bare name is one of a JSON Web Token."""
    path = given.get(name)
    if path is None:
        return None
    if not all(part.strip() for part in path.split(".")):
        raise SettingsError(f"{name} must be a path into the authorizer's answer, such as jwt.claims.sub")
    return path if "." in path else f"jwt.claims.{path}"
