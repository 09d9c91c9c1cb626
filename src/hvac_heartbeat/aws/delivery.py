"""Deliver the outbox to EventBridge, SNS and a webhook: at least once to each, with an id to know a repetition by.

Nothing else of the function imports boto3 for this, and nothing imports it before there is a message to send.
"""

from __future__ import annotations

import json
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from hvac_heartbeat.aws.invocation_log import log
from hvac_heartbeat.aws.mail import subject, words
from hvac_heartbeat.store.telling import LEASE_S, Delivery
from hvac_heartbeat.store.timeout import within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from urllib.request import OpenerDirector

    from hvac_heartbeat.channels import Channels
    from hvac_heartbeat.store.telling import Message, Telling

_SEND_S = 6.0  # what the last send may take: a host has many addresses, and each may answer nothing
_ROUND_S = _SEND_S + 2.0  # and the note of it
_TIMEOUT_S = 3.0
_ENTRIES = 10  # PutEvents takes ten entries and 256 KB a call (EventBridge API Reference)
_ENTRY_BYTES = 256 * 1024
_ENTRY_OVERHEAD = 1_024  # source, detail type, bus


class Channel(Protocol):
    """Something that messages are sent to."""

    name: str

    def portions(self, messages: Sequence[Message]) -> Iterable[Sequence[Message]]:
        """Divide messages into what is sent by one call."""

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Send a portion, and return the ids of what was not taken; may raise, and then nothing was."""


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
        # A sender that is ended before its note, or notes after its lease is over, has sent what will be sent again.
        end = min(deadline, time.monotonic() + LEASE_S) - _ROUND_S
        messages = telling.lease(names, deadline)
        if not messages:
            break
        deliveries = {message.id: Delivery(message, []) for message in messages}
        for place, channel in enumerate(channels):
            wanted = [message for message in messages if channel.name not in message.delivered_to]
            share = (end - time.monotonic()) / (len(channels) - place)
            refused = send(channel, wanted, time.monotonic() + share)
            for message in wanted:
                if message.id in refused:
                    deliveries[message.id].is_failed = True
                else:
                    deliveries[message.id].channels.append(channel.name)
        telling.note(list(deliveries.values()), deadline)
        failed += sum(delivery.is_failed for delivery in deliveries.values())
        delivered += sum(not delivery.is_failed for delivery in deliveries.values())
    return delivered, failed


def send(channel: Channel, messages: Sequence[Message], end: float) -> set[int]:
    """Send messages, those for which there is no time left excepted, and return the ids of what was not taken."""
    failed: dict[str, set[int]] = {}
    for portion in channel.portions(messages):
        cause, refused = "refused", {message.id for message in portion}
        if time.monotonic() >= end:
            cause = "no time left"
        else:
            try:
                refused = within(end + _SEND_S - time.monotonic(), partial(channel.send, portion))
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the rest and the other channels are served
                cause = type(error).__name__  # alone: a URL in the text would be the webhook's secret
        failed.setdefault(cause, set()).update(refused)
    for cause, ids in failed.items():
        if ids:
            log("ERROR", "messages not delivered", channel=channel.name, count=len(ids), cause=cause)
    return set().union(*failed.values())


class EventBus:
    """An EventBridge bus: the kind is the detail-type, the body with `dedup_id` the detail."""

    name = "eventbridge"

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def portions(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """Give as many as a call takes."""
        portion: list[Message] = []
        size = 0
        for message in messages:
            bytes_of_it = len(_detail(message).encode()) + _ENTRY_OVERHEAD
            if portion and (len(portion) == _ENTRIES or size + bytes_of_it > _ENTRY_BYTES):
                yield portion
                portion, size = [], 0
            portion.append(message)
            size += bytes_of_it
        if portion:
            yield portion

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Put the events."""
        entry = {"Source": "hvac-heartbeat", "EventBusName": self._bus}
        entries = [entry | {"DetailType": message.kind, "Detail": _detail(message)} for message in messages]
        results = _client("events", _region(self._bus)).put_events(Entries=entries)["Entries"]
        return {message.id for message, result in zip(messages, results, strict=True) if result.get("ErrorCode")}


def _detail(message: Message) -> str:
    return json.dumps(message.body | {"dedup_id": message.dedup_id}, ensure_ascii=False)


class _OneByOne:
    """A channel that takes one message a call."""

    def portions(self, messages: Sequence[Message]) -> list[list[Message]]:
        return [[message] for message in messages]


class Topic(_OneByOne):
    """An SNS topic: words that a person reads, by e-mail for one."""

    name = "sns"

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Publish the message."""
        [message] = messages
        fifo = {"MessageGroupId": "hvac-heartbeat", "MessageDeduplicationId": message.dedup_id}
        _client("sns", _region(self._arn)).publish(
            TopicArn=self._arn,
            Subject=subject(message),
            Message=words(message),
            MessageAttributes={
                "kind": {"DataType": "String", "StringValue": message.kind},
                "dedup_id": {"DataType": "String", "StringValue": message.dedup_id},
            },
            **(fifo if self._arn.endswith(".fifo") else {}),
        )
        return set()


class Webhook(_OneByOne):
    """A URL that takes Slack's form: `{"text": ...}`."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, messages: Sequence[Message]) -> set[int]:
        """Post the message."""
        from urllib.error import HTTPError
        from urllib.request import Request

        [message] = messages
        # Slack makes links and mentions of what stands in angle brackets, and a device may be called anything.
        text = message.body["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = json.dumps({"text": text, "kind": message.kind, "dedup_id": message.dedup_id}).encode()
        request = Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310 - `Channels` has looked
        try:
            _opener().open(request, timeout=_TIMEOUT_S).close()
        except HTTPError as refusal:
            with refusal:  # which holds the connection
                return {message.id}
        return set()


def _region(arn: str) -> str | None:
    """Return where a topic or a bus is; None, which is where we are, for a bus that is given by its name."""
    return arn.split(":")[3] if arn.startswith("arn:") else None


@cache
def _client(service: str, region: str | None) -> Any:
    import boto3
    from botocore.config import Config

    bounds = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1})
    return boto3.client(service, region_name=region, config=bounds)  # type: ignore[call-overload]


@cache
def _opener() -> OpenerDirector:
    """Make an opener that follows nobody elsewhere: what we say goes to the webhook that was named."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    return build_opener(Stay)
