"""Credentials: where they come from, and what happens when they change under a warm container."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from moto import mock_aws

from hvac_heartbeat.aws import handler
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import TABLE_AND_VIEW
from tests.database.invocation import check, deliver
from tests.database.servers import reload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_secretsmanager import SecretsManagerClient

LOGIN = {"username": "alice", "password": "hunter2", "host": "127.0.0.1", "dbname": "postgres"}
WRITER = "GRANT SELECT, INSERT, UPDATE ON device_state TO alice, bob"
PASSWORDS_ASKED = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server that asks for passwords."""
    bindir = os.environ.get("TEST_POSTGRES_BINDIR")
    with PostgresServer(Path(bindir) if bindir else None, tcp=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(TABLE_AND_VIEW)
            admin.execute("CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN")
            admin.execute(WRITER)
        (server.data / "pg_hba.conf").write_text(PASSWORDS_ASKED)
        reload(server)
        yield server


@pytest.fixture
def admin(guarded: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The superuser's connection; alice's and bob's passwords are `first`."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    handler.reset()
    with psycopg.connect(guarded.url(), autocommit=True) as admin:
        admin.execute("TRUNCATE device_state; ALTER ROLE alice PASSWORD 'first'; ALTER ROLE bob PASSWORD 'first'")
        yield admin
    handler.reset()


@pytest.fixture
def secrets(admin: psycopg.Connection) -> Iterator[SecretsManagerClient]:
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="eu-west-1")


def login(server: PostgresServer, **changed: str | int) -> str:
    found = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres", "username": "alice", "password": "first"}
    return json.dumps({"engine": "postgres"} | found | changed)


@pytest.fixture
def secret(secrets: SecretsManagerClient, guarded: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret with everything in it, which the settings name and nothing else."""
    arn: str = secrets.create_secret(Name="database", SecretString=login(guarded))["ARN"]
    monkeypatch.setenv("DB_SECRET_ARN", arn)
    return arn


def disconnect(admin: psycopg.Connection) -> None:
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename IN ('alice', 'bob')")


def test_a_secret_alone_leads_to_the_database(secret: str, admin: psycopg.Connection) -> None:
    result = deliver("a")
    assert result.acknowledged == {"a"}
    check(result, admin, "a")


def test_a_rotated_password_is_read_again_under_a_warm_container(
    secret: str, secrets: SecretsManagerClient, guarded: PostgresServer, admin: psycopg.Connection
) -> None:
    assert deliver("a").acknowledged == {"a"}
    admin.execute("ALTER ROLE alice PASSWORD 'second'")
    secrets.put_secret_value(SecretId=secret, SecretString=login(guarded, password="second"))
    assert deliver("b").acknowledged == {"b"}, "a connection that is open stays open"
    disconnect(admin)
    result = deliver("c")
    assert result.acknowledged == {"c"}
    check(result, admin, "c")


def test_a_rotation_that_alternates_users_changes_the_user_too(
    secret: str,
    secrets: SecretsManagerClient,
    guarded: PostgresServer,
    admin: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_USER", "alice")  # what stands here stays behind; the secret's user goes with its password
    assert deliver("a").acknowledged == {"a"}
    admin.execute("ALTER ROLE alice PASSWORD 'gone'")
    secrets.put_secret_value(SecretId=secret, SecretString=login(guarded, username="bob"))
    disconnect(admin)
    result = deliver("b")
    assert result.acknowledged == {"b"}
    check(result, admin, "b")


def test_a_password_that_is_wrong_is_reported_at_once(
    admin: psycopg.Connection, guarded: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"DB_HOST": "127.0.0.1", "DB_PORT": str(guarded.port), "DB_NAME": "postgres", "DB_USER": "alice"}
    for name, value in (variables | {"DB_PASSWORD": "wrong"}).items():
        monkeypatch.setenv(name, value)
    result = deliver("a")
    assert result.failure is not None
    assert result.failure.sqlstate == "28P01"
    assert result.seconds < 5
    check(result, admin, "a")


def test_a_secret_that_stays_wrong_is_reported_at_once(
    secret: str, secrets: SecretsManagerClient, guarded: PostgresServer, admin: psycopg.Connection
) -> None:
    secrets.put_secret_value(SecretId=secret, SecretString=login(guarded, password="wrong"))
    result = deliver("a")
    assert result.failure is not None
    assert result.failure.sqlstate == "28P01"
    assert result.seconds < 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("not JSON hunter2", "is not a JSON object"),
        ('["hunter2"]', "is not a JSON object"),
        ('{"username": "alice", "password": 7}', "is not a JSON object"),
        ('{"username": "alice", "password": "hunter2", "port": "hunter2"}', "is not a JSON object"),
        ('{"password": "hunter2"}', "lacks host, dbname, username"),
        ('{"username": "alice", "host": "127.0.0.1", "dbname": "postgres"}', "lacks password"),
        (json.dumps(LOGIN | {"password": "hunter2\0"}), "a NUL character in password"),
        (json.dumps(LOGIN | {"username": "alice\0"}), "a NUL character in username"),
        (json.dumps(LOGIN | {"dbname": "postgres\0"}), "a NUL character in dbname"),
        (json.dumps(LOGIN | {"host": "127.0.0.1\0"}), "a NUL character in host"),
        (json.dumps(LOGIN | {"host": "127.0.0.1:5432"}), "the port belongs in"),
    ],
)
def test_a_secret_that_cannot_be_used_says_so_without_being_shown(
    secrets: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch, admin: psycopg.Connection, text: str, said: str
) -> None:
    given: dict[str, Any] = {"SecretString": text} if text else {"SecretBinary": b"binary"}
    monkeypatch.setenv("DB_SECRET_ARN", secrets.create_secret(Name="odd", **given)["ARN"])
    result = deliver("a")
    assert said in str(result.failure)
    assert "hunter2" not in str(result.failure)
    check(result, admin, "a")


def test_a_secret_that_is_missing_says_so(
    secrets: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch, admin: psycopg.Connection
) -> None:
    monkeypatch.setenv("DB_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:missing-AbCdEf")
    result = deliver("a")
    assert "ResourceNotFoundException" in str(result.failure)
    assert "DB_SECRET_ARN" in str(result.failure)
