"""Deliver the outbox to EventBridge, SNS and a webhook: at least once to each, with an id to know a repetition by.

Nothing else of the function imports boto3 for this, and nothing imports it before there is a message to send.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from hvac_heartbeat.aws.mail import subject, words
from hvac_heartbeat.store.telling import Delivery
from hvac_heartbeat.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from urllib.request import OpenerDirector

    from hvac_heartbeat.channels import Channels
    from hvac_heartbeat.store.telling import Message, Telling

_ROUND_S = 8.0  # what a lease, the sends and the note of them may take
_TIMEOUT_S = 3.0
_ENTRIES = 10  # PutEvents takes ten entries and 256 KB a call (EventBridge API Reference)
_ENTRY_BYTES = 256 * 1024
_ENTRY_OVERHEAD = 1_024  # source, detail type, bus


class Channel(Protocol):
    """Something that messages are sent to."""

    name: str

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Send messages, and return the ids of those that were not taken; may raise, and then none was."""


def channels_of(settings: Channels) -> list[Channel]:
    """Return the channels that are configured."""
    found: list[Channel] = []
    if settings.event_bus:
        found.append(EventBus(settings.event_bus))
    if settings.sns_topic:
        found.append(Topic(settings.sns_topic))
    if settings.webhook_url:
        found.append(Webhook(settings.webhook_url))
    return found


def deliver(telling: Telling, channels: Sequence[Channel], deadline: float) -> tuple[int, int]:
    """Deliver what is due while there is time; return how many messages all channels have, and how many failed.

    A channel that fails keeps no other from its messages, and fails no sweep.

    Raises:
        StoreUnavailable: when the outbox could not be read or written; what was sent is then sent again.
    """
    delivered = failed = 0
    names = [channel.name for channel in channels]
    while channels and deadline - time.monotonic() > _ROUND_S:
        messages = telling.lease(names, deadline)
        if not messages:
            break
        deliveries = {message.id: Delivery(message, []) for message in messages}
        for channel in channels:
            wanted = [message for message in messages if channel.name not in message.delivered_to]
            refused = _send(channel, wanted) if wanted else set()
            for message in wanted:
                if message.id in refused:
                    deliveries[message.id].is_failed = True
                else:
                    deliveries[message.id].channels.append(channel.name)
        telling.note(list(deliveries.values()), deadline)
        failed += sum(delivery.is_failed for delivery in deliveries.values())
        delivered += sum(not delivery.is_failed for delivery in deliveries.values())
    return delivered, failed


def _send(channel: Channel, messages: Sequence[Message]) -> set[int]:
    try:
        refused = channel.send(messages)
    except Exception as error:  # noqa: BLE001 - whatever a channel's library raises, the other channels are served
        # The type alone: a URL in the text would be the webhook's secret.
        log("ERROR", "messages not delivered", channel=channel.name, count=len(messages), cause=type(error).__name__)
        return {message.id for message in messages}
    if refused:
        log("ERROR", "messages not delivered", channel=channel.name, count=len(refused), cause="refused")
    return refused


class EventBus:
    """An EventBridge bus: the kind is the detail-type, the body with `dedup_id` the detail."""

    name = "eventbridge"

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Put the events, as many a call as it takes."""
        refused: set[int] = set()
        for group in self._groups(messages):
            answer = _client("events").put_events(Entries=[entry for _, entry in group])
            if answer["FailedEntryCount"]:
                results = zip(group, answer["Entries"], strict=True)
                refused |= {message.id for (message, _), result in results if result.get("ErrorCode")}
        return refused

    def _groups(self, messages: Sequence[Message]) -> Iterator[list[tuple[Message, dict[str, str]]]]:
        group: list[tuple[Message, dict[str, str]]] = []
        size = 0
        for message in messages:
            detail = json.dumps(message.body | {"dedup_id": message.dedup_id}, ensure_ascii=False)
            entry = {"Source": "hvac-heartbeat", "DetailType": message.kind, "Detail": detail}
            bytes_of_it = len(detail.encode()) + _ENTRY_OVERHEAD
            if group and (len(group) == _ENTRIES or size + bytes_of_it > _ENTRY_BYTES):
                yield group
                group, size = [], 0
            group.append((message, entry | {"EventBusName": self._bus}))
            size += bytes_of_it
        if group:
            yield group


class Topic:
    """An SNS topic: words that a person reads, by e-mail for one."""

    name = "sns"

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Publish each message; those that were published are not sent again because a later one fails."""
        refused: set[int] = set()
        for message in messages:
            fifo = {"MessageGroupId": "hvac-heartbeat", "MessageDeduplicationId": message.dedup_id}
            try:
                _client("sns", self._arn.split(":")[3]).publish(
                    TopicArn=self._arn,
                    Subject=subject(message),
                    Message=words(message),
                    MessageAttributes={
                        "kind": {"DataType": "String", "StringValue": message.kind},
                        "dedup_id": {"DataType": "String", "StringValue": message.dedup_id},
                    },
                    **(fifo if self._arn.endswith(".fifo") else {}),
                )
            except _aws_errors() as error:
                log("WARNING", "message not published", channel=self.name, cause=type(error).__name__)
                refused.add(message.id)
        return refused


class Webhook:
    """A URL that takes Slack's form: `{"text": ...}`."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Post each message."""
        from urllib.error import URLError
        from urllib.request import Request

        refused: set[int] = set()
        for message in messages:
            # Slack makes links and mentions of what stands in angle brackets, and a device may be called anything.
            text = message.body["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            body = json.dumps({"text": text, "kind": message.kind, "dedup_id": message.dedup_id}).encode()
            request = Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310 - `Channels` has looked
            try:
                _opener().open(request, timeout=_TIMEOUT_S).close()
            except (URLError, OSError, ValueError) as error:
                log("WARNING", "message not posted", channel=self.name, cause=type(error).__name__)
                refused.add(message.id)
        return refused


@cache
def _client(service: str, region: str | None = None) -> Any:
    import boto3
    from botocore.config import Config

    bounds = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1})
    return boto3.client(service, region_name=region, config=bounds)  # type: ignore[call-overload]


@cache
def _aws_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


@cache
def _opener() -> OpenerDirector:
    """Make an opener that follows nobody elsewhere: what we say goes to the webhook that was named."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return build_opener(Stay)
