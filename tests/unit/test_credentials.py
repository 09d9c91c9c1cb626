"""Credentials that need no server: a token is signed here, and no secret is ever shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.credentials import credentials

if TYPE_CHECKING:
    import pytest


def test_an_iam_token_is_made_for_the_connection_s_host_port_user_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    host = "db.abc.eu-west-1.rds.amazonaws.com"
    settings = Settings.from_environment(
        {"DB_HOST": host, "DB_NAME": "n", "DB_USER": "alice", "DB_IAM_AUTH": "true", "AWS_REGION": "eu-west-1"}
    )
    assert settings.sslmode == "verify-full"
    found = credentials(settings, time.monotonic() + 10)
    signed = urlsplit(f"https://{found.password}")
    query = parse_qs(signed.query)
    assert signed.netloc == f"{host}:5432"
    assert (query["Action"], query["DBUser"]) == (["connect"], ["alice"])
    assert "/eu-west-1/rds-db/aws4_request" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Signature"]


def test_a_secret_is_never_shown_by_settings_or_credentials() -> None:
    given = {"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u", "DB_PASSWORD": "hunter2"}
    settings = Settings.from_environment(given)
    assert "hunter2" not in f"{settings!r} {settings} {credentials(settings, time.monotonic() + 1)!r}"
