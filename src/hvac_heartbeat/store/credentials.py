"""Where to connect and as whom: from the environment, from Secrets Manager, or with an IAM token; one shape."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec.structs import replace

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.settings import Settings, host_complaint
from hvac_heartbeat.store.timeout import within

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

_DEFAULT_PORT: Final = 5432
_AWS_TIMEOUT_S: Final = 2.0  # for a connection and for an answer, twice each; `within` keeps to the deadline


class CredentialsUnavailable(StoreUnavailable):
    """The credentials cannot be had; the message says which setting to look at, and never shows a secret."""


class _Secret(msgspec.Struct):
    """The JSON of an RDS secret ("JSON structure of AWS Secrets Manager secrets", Secrets Manager User Guide)."""

    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | str | None = None
    dbname: str | None = None


def credentials(settings: Settings, deadline: float) -> Settings:
    """Return the settings with all that one new connection takes, before `deadline` (`time.monotonic`).

    Raises CredentialsUnavailable when the secret or the token cannot be had, or the secret lacks something.
    """
    if settings.secret_arn is not None:
        return _from_secret(settings, _read_secret(settings, settings.secret_arn, deadline))
    password = _iam_token(settings) if settings.iam_auth else settings.password
    return replace(settings, port=settings.port or _DEFAULT_PORT, password=password)


def _from_secret(settings: Settings, text: str) -> Settings:
    try:
        secret = msgspec.json.decode(text, type=_Secret)
        port = settings.port or int(secret.port or _DEFAULT_PORT)
    except (msgspec.MsgspecError, ValueError):
        # Not chained: the decoder's error can quote the secret.
        raise CredentialsUnavailable(
            "the secret that DB_SECRET_ARN names is not a JSON object with username and password as text"
        ) from None
    found = {
        "host": settings.host or secret.host or "",
        "dbname": settings.name or secret.dbname or "",
        # The password is this user's. A rotation of alternating users changes both, and DB_USER would stay behind.
        "username": secret.username or settings.user,
        "password": secret.password or "",
    }
    missing = [key for key, value in found.items() if not value]
    if missing:
        raise CredentialsUnavailable(f"the secret that DB_SECRET_ARN names lacks {', '.join(missing)}")
    for key, value in found.items():
        # To libpq a text ends there, and with it everything behind it, sslmode too.
        if "\0" in value:
            raise CredentialsUnavailable(f"the secret that DB_SECRET_ARN names has a NUL character in {key}")
    complaint = host_complaint(found["host"])
    if complaint:
        raise CredentialsUnavailable(f"host, in the secret that DB_SECRET_ARN names, {complaint}")
    host, name, user, password = found.values()
    return replace(settings, host=host, port=port, name=name, user=user, password=password)


def _read_secret(settings: Settings, arn: str, deadline: float) -> str:
    client: SecretsManagerClient = _client("secretsmanager", _region(arn) or settings.region)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = within(deadline - time.monotonic(), lambda: client.get_secret_value(SecretId=arn))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "ClientError")
        raise CredentialsUnavailable(
            f"the secret that DB_SECRET_ARN names cannot be read ({code}): "
            "look at the name and at the function's right to secretsmanager:GetSecretValue"
        ) from error
    except (BotoCoreError, TimeoutError) as error:
        raise CredentialsUnavailable(
            f"the secret that DB_SECRET_ARN names cannot be read ({type(error).__name__}): "
            "look at the function's region and credentials, and in a VPC at its way to Secrets Manager (a NAT gateway "
            "or a VPC endpoint)"
        ) from error
    text: str = answer.get("SecretString", "")
    if not text:
        raise CredentialsUnavailable("the secret that DB_SECRET_ARN names is empty, or binary: store JSON text in it")
    return text


def _iam_token(settings: Settings) -> str:
    client: RDSClient = _client("rds", settings.region)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return client.generate_db_auth_token(settings.host, settings.port or _DEFAULT_PORT, settings.user)
    except (BotoCoreError, ClientError) as error:
        raise CredentialsUnavailable(
            f"no token could be signed for DB_IAM_AUTH ({type(error).__name__}): look at the function's role"
        ) from error


def prepare(environment: Mapping[str, str]) -> None:
    """Inside Lambda, make the client that a secret or a token will need; elsewhere do nothing.

    Called during INIT, which has a full core. boto3 and its client take a quarter of a second of it, and an invocation
    at 128 MB has a fourteenth.
    """
    arn = environment.get("DB_SECRET_ARN")
    token = environment.get("DB_IAM_AUTH", "").lower() == "true"
    if environment.get("AWS_LAMBDA_FUNCTION_NAME") and (arn or token):
        with suppress(CredentialsUnavailable):  # the first connection will raise it again
            _client("secretsmanager" if arn else "rds", _region(arn or "") or environment.get("AWS_REGION"))


@cache
def _client(service: Literal["secretsmanager", "rds"], region: str | None) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise CredentialsUnavailable(
            "DB_SECRET_ARN and DB_IAM_AUTH need boto3, which Lambda's runtime has: install it"
        ) from error
    bounds = Config(
        connect_timeout=_AWS_TIMEOUT_S,
        read_timeout=_AWS_TIMEOUT_S,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        return boto3.client(service, region_name=region, config=bounds)
    except BotoCoreError as error:
        raise CredentialsUnavailable(
            f"boto3 cannot be used ({type(error).__name__}): look at the AWS_* variables"
        ) from error


def _region(arn: str) -> str | None:
    return [*arn.split(":"), "", "", ""][3] or None
