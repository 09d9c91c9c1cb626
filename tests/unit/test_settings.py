"""What the environment variables mean, and what is said of those that cannot be used."""

from __future__ import annotations

import pytest

from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.settings import Settings

BASE = {"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u"}


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({}, ("DB_HOST", "DB_NAME", "DB_USER")),
        (BASE, ("DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH")),
        (BASE | {"DB_PASSWORD": ""}, ("DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH")),
        (BASE | {"DB_PASSWORD": "p", "DB_SECRET_ARN": "s"}, ("DB_PASSWORD", "DB_SECRET_ARN")),
        (BASE | {"DB_PASSWORD": "p", "DB_IAM_AUTH": "true"}, ("DB_PASSWORD", "DB_IAM_AUTH")),
        (BASE | {"DB_IAM_AUTH": "yes"}, ("DB_IAM_AUTH",)),
        (BASE | {"DB_IAM_AUTH": "true"}, ("AWS_REGION",)),
        (BASE | {"DB_IAM_AUTH": "true", "AWS_REGION": "r", "DB_SSLMODE": "prefer"}, ("DB_SSLMODE", "DB_IAM_AUTH")),
        (BASE | {"DB_PASSWORD": "p", "DB_SSLMODE": "on"}, ("DB_SSLMODE",)),
        (BASE | {"DB_PASSWORD": "p", "DB_PORT": "0"}, ("DB_PORT",)),
    ],
)
def test_a_setting_that_is_missing_or_contradictory_is_named(given: dict[str, str], variables: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(given)
    assert raised.value.variables == variables
    assert all(name in str(raised.value) for name in variables)


@pytest.mark.parametrize(
    ("where", "sslmode"),
    [
        ({}, "prefer"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "hvac-heartbeat"}, "verify-full"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "hvac-heartbeat", "DB_SSLMODE": "require"}, "require"),
    ],
    ids=["elsewhere", "inside Lambda", "as DB_SSLMODE says"],
)
def test_the_server_is_verified_inside_lambda_unless_db_sslmode_says_otherwise(
    where: dict[str, str], sslmode: str
) -> None:
    assert Settings.from_environment(BASE | {"DB_PASSWORD": "p"} | where).sslmode == sslmode
