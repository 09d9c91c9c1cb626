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
        (BASE | {"DB_PASSWORD": "p", "DB_PORT": "abc"}, ("DB_PORT",)),
        (BASE | {"DB_PASSWORD": "p\0 sslmode=disable"}, ("DB_PASSWORD",)),
    ],
)
def test_a_setting_that_is_missing_or_contradictory_is_named(given: dict[str, str], variables: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(given)
    assert all(name in str(raised.value) for name in variables)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("localhost:5432", "DB_PORT"),
        ("db.example.com:5432,db2.example.com", "DB_PORT"),
        ("[::1]:5432", "DB_PORT"),
        ("postgresql://user:hush-hush@db.example.com/fleet", "not a URL"),
        ("db.example.com ", "the name or the address of a host"),
        ("db example", "the name or the address of a host"),
        ("…", "the name or the address of a host"),
        ("fleet….rds.amazonaws.com", "the name or the address of a host"),
        ("...", "the name or the address of a host"),
        ("a,", "the name or the address of a host"),
    ],
)
def test_what_cannot_be_a_host_is_refused_and_not_repeated(host: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        Settings.from_environment(BASE | {"DB_PASSWORD": "p", "DB_HOST": host})
    assert "DB_HOST" in str(raised.value)
    assert "hush-hush" not in str(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "fleet.abc.eu-central-1.rds.amazonaws.com",
        "db_1.internal.",
        "10.0.0.7",
        "::1",
        "fe80::1%eth0",
        "/run/postgresql",
        "@abstract",
        "a.example,10.0.0.7",
    ],
)
def test_a_name_an_address_and_a_socket_are_hosts(host: str) -> None:
    assert Settings.from_environment(BASE | {"DB_PASSWORD": "p", "DB_HOST": host}).host == host


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
