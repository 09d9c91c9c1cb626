"""Every setting this function has, read from one mapping of environment variables and checked at once."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

import msgspec

from hvac_heartbeat.channels import Channels
from hvac_heartbeat.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VERIFIED_OR_SECRET = SSLMODES[3:]  # what an IAM token, which is a password in clear text, may travel over
_HIDDEN = ("password", "session_token")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII | re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"[^:]+:\d+|\[.*\]:\d+")
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\x21-\x7e]+", re.ASCII)


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
    session_token: str | None = None
    secrets_extension_port: int = 2773
    new_devices: Literal["accept", "reject"] = "accept"
    device_claim: str | None = None
    site_claim: str | None = None
    channels: Channels = Channels()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read DB_* and HEARTBEAT_* variables; an empty one counts as absent.

        AWS's own variables say where we run and in which region ("Defined runtime environment variables", AWS Lambda
        Developer Guide; PARAMETERS_SECRETS_EXTENSION_HTTP_PORT, "AWS Parameters and Secrets Lambda Extension").

        Raises:
            SettingsError: naming every variable that is missing or cannot be used; it never shows a value of a secret.
        """
        given = {name: value for name, value in environment.items() if value}
        _check_nul(given)
        iam_auth = _flag(given, "DB_IAM_AUTH")
        _check_credentials(given, iam_auth=iam_auth)
        return cls(
            host=_host(given),
            name=_name(given, "DB_NAME"),
            user=_name(given, "DB_USER"),
            password=given.get("DB_PASSWORD"),
            port=_port(given, "DB_PORT"),
            sslmode=_sslmode(given, iam_auth=iam_auth),
            sslrootcert=given.get("DB_SSLROOTCERT"),
            secret_arn=_secret_arn(given),
            iam_auth=iam_auth,
            region=_region(given, iam_auth=iam_auth),
            session_token=given.get("AWS_SESSION_TOKEN"),
            secrets_extension_port=_port(given, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT") or 2773,
            new_devices=_new_devices(given),
            device_claim=_claim(given, "HEARTBEAT_DEVICE_CLAIM"),
            site_claim=_claim(given, "HEARTBEAT_SITE_CLAIM"),
            channels=Channels.from_environment(given),
        )

    def __repr__(self) -> str:
        """Show every setting but the secrets, so that no log line and no traceback can hold one."""
        shown = (
            f"{name}={'…' if name in _HIDDEN and getattr(self, name) is not None else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"Settings({', '.join(shown)})"


def _check_nul(given: Mapping[str, str]) -> None:
    # To libpq a text ends there, and with it everything behind it, sslmode too.
    variables = tuple(name for name, value in given.items() if name.startswith("DB_") and "\0" in value)
    if variables:
        raise SettingsError(f"{', '.join(variables)}: a NUL character cannot be used", variables=variables)


def host_complaint(text: str) -> str | None:
    """Return why a text cannot be the database's host, or several with commas between; None when it can."""
    for host in text.split(","):
        if "://" in host:
            return "takes the name of a host, not a URL"
        if _HOST_AND_PORT.fullmatch(host):
            return "takes the name of a host alone: the port belongs in DB_PORT"
        if not (host.startswith(("/", "@")) or _HOST_NAME.fullmatch(host) or _is_address(host)):
            return "must be the name or the address of a host, or the folder of a unix socket"
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _host(given: Mapping[str, str]) -> str:
    host = given.get("DB_HOST", "")
    complaint = host_complaint(host) if host else None
    if complaint:
        raise SettingsError(f"DB_HOST {complaint}", variables=("DB_HOST",))
    return host


def _name(given: Mapping[str, str], variable: str) -> str:
    name = given.get(variable, "")
    if name and (not name.strip() or name.strip(".…") == "" or not name.isprintable()):
        raise SettingsError(f"{variable} must be a name, not blanks or dots", variables=(variable,))
    return name


def _secret_arn(given: Mapping[str, str]) -> str | None:
    arn = given.get("DB_SECRET_ARN")
    if arn is not None and not _SECRET_ARN.fullmatch(arn):
        raise SettingsError(
            "DB_SECRET_ARN must be the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
            variables=("DB_SECRET_ARN",),
        )
    return arn


def _check_credentials(given: Mapping[str, str], *, iam_auth: bool) -> None:
    ways = [name for name in ("DB_PASSWORD", "DB_SECRET_ARN") if name in given] + ["DB_IAM_AUTH"] * iam_auth
    if len(ways) > 1:
        raise SettingsError(f"set only one of {' and '.join(ways)}: they contradict each other", variables=tuple(ways))
    if ways == ["DB_SECRET_ARN"]:
        return
    missing = tuple(name for name in ("DB_HOST", "DB_NAME", "DB_USER") if name not in given)
    if missing:
        raise SettingsError(
            f"set {', '.join(missing)} to name the database, or DB_SECRET_ARN to a secret that does",
            variables=missing,
        )
    # On a unix socket the server may know us by our account.
    if not ways and not given["DB_HOST"].startswith("/"):
        alternatives = ("DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH")
        raise SettingsError(
            "set DB_PASSWORD, or DB_SECRET_ARN, or DB_IAM_AUTH=true: the function has nothing to log in with",
            variables=alternatives,
        )


def _sslmode(given: Mapping[str, str], *, iam_auth: bool) -> str:
    default = "verify-full" if iam_auth or "AWS_LAMBDA_FUNCTION_NAME" in given else "prefer"
    sslmode = given.get("DB_SSLMODE", default)
    if sslmode not in SSLMODES:
        raise SettingsError(f"DB_SSLMODE must be one of {', '.join(SSLMODES)}", variables=("DB_SSLMODE",))
    if iam_auth and sslmode not in _VERIFIED_OR_SECRET:
        raise SettingsError(
            f"DB_SSLMODE must be one of {', '.join(_VERIFIED_OR_SECRET)} with DB_IAM_AUTH: a token is sent as it is",
            variables=("DB_SSLMODE", "DB_IAM_AUTH"),
        )
    return sslmode


def _region(given: Mapping[str, str], *, iam_auth: bool) -> str | None:
    region = given.get("AWS_REGION", given.get("AWS_DEFAULT_REGION"))
    if iam_auth and region is None:
        raise SettingsError(
            "set AWS_REGION with DB_IAM_AUTH: a token is made for one region", variables=("AWS_REGION",)
        )
    return region


def _new_devices(given: Mapping[str, str]) -> Literal["accept", "reject"]:
    new_devices = given.get("HEARTBEAT_NEW_DEVICES", "accept")
    if new_devices not in ("accept", "reject"):
        raise SettingsError("HEARTBEAT_NEW_DEVICES must be accept or reject", variables=("HEARTBEAT_NEW_DEVICES",))
    return "reject" if new_devices == "reject" else "accept"


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false").lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{name} must be true or false", variables=(name,))
    return text == "true"


def _port(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise SettingsError(f"{name} must be a number from 1 to 65535", variables=(name,))
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
