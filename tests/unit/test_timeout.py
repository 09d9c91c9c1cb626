"""What has no timeout of its own ends in time all the same."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.credentials import CredentialsUnavailable, credentials
from hvac_heartbeat.store.timeout import within

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = {"DB_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db", "DB_NAME": "hvac"}


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that never answers."""
    over = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        over.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    yield
    over.set()


def test_what_ends_in_time_gives_what_it_gave() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_what_does_not_end_is_left_behind() -> None:
    over = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, lambda: over.wait(20))
    over.set()


@pytest.mark.usefixtures("silence")
def test_a_name_server_that_is_silent_about_secrets_manager() -> None:
    began = time.monotonic()
    with pytest.raises(CredentialsUnavailable, match="VPC endpoint"):
        credentials(Settings.from_environment(SECRET), began + 1)
    assert time.monotonic() - began < 3
