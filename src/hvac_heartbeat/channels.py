"""Where messages are delivered to, and which device is the canary: settings of the sweep, read from the environment."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

import msgspec

from hvac_heartbeat.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVENT_BUS = re.compile(r"(arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus/)?[/.\-_A-Za-z0-9]{1,256}", re.ASCII)
_SNS_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,251}(\.fifo)?", re.ASCII)


class Channels(msgspec.Struct, frozen=True):
    """An event bus by name or ARN, an SNS topic by ARN, a webhook by URL; what is None is not delivered to."""

    event_bus: str | None = None
    sns_topic: str | None = None
    webhook_url: str | None = None
    canary: str | None = None

    @classmethod
    def from_environment(cls, given: Mapping[str, str]) -> Channels:
        """Read the HEARTBEAT_* variables of delivery.

        Raises:
            SettingsError: naming the variable that cannot be used; it never shows the webhook, whose URL is its secret.
        """
        event_bus, sns_topic = given.get("HEARTBEAT_EVENT_BUS"), given.get("HEARTBEAT_SNS_TOPIC")
        webhook_url = given.get("HEARTBEAT_WEBHOOK_URL")
        if event_bus and not _EVENT_BUS.fullmatch(event_bus):
            raise SettingsError("HEARTBEAT_EVENT_BUS must be the name or the ARN of an event bus; `default` is one")
        if sns_topic and not _SNS_TOPIC.fullmatch(sns_topic):
            raise SettingsError("HEARTBEAT_SNS_TOPIC must be the ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME")
        if webhook_url and not _is_webhook(webhook_url):
            raise SettingsError("HEARTBEAT_WEBHOOK_URL must be an https:// URL (http:// on this machine only)")
        return cls(event_bus or None, sns_topic or None, webhook_url or None, given.get("HEARTBEAT_CANARY") or None)

    def __repr__(self) -> str:
        """Show which channels there are, and never the webhook's URL."""
        webhook = None if self.webhook_url is None else "…"
        return f"Channels({self.event_bus!r}, {self.sns_topic!r}, {webhook}, {self.canary!r})"


def _is_webhook(url: str) -> bool:
    from urllib.parse import urlsplit

    if not (url.isascii() and url.isprintable() and " " not in url):
        return False
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address is this machine's own."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
