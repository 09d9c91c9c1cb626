"""Where messages are delivered to: what cannot be is refused by its variable, and a secret is never shown."""

from __future__ import annotations

import pytest

from hvac_heartbeat.channels import Channels
from hvac_heartbeat.errors import SettingsError


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEARTBEAT_EVENT_BUS", "no such bus!"),
        ("HEARTBEAT_SNS_TOPIC", "alerts"),
        ("HEARTBEAT_WEBHOOK_URL", "http://hooks.example.com/secret"),
        ("HEARTBEAT_WEBHOOK_URL", "ftp://127.0.0.1/secret"),
        ("HEARTBEAT_WEBHOOK_URL", "https://"),
        ("HEARTBEAT_WEBHOOK_URL", "https://host:port/secret"),
    ],
)
def test_a_channel_that_cannot_be_is_refused_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as raised:
        Channels.from_environment({variable: value})
    assert "secret" not in str(raised.value)


def test_the_webhook_is_never_shown() -> None:
    assert "secret" not in repr(Channels.from_environment({"HEARTBEAT_WEBHOOK_URL": "https://example.com/secret"}))
