"""Delivery to AWS: what is sent, in what portions, and what is not taken is sent again."""

from __future__ import annotations

import json
import time
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from hvac_heartbeat.aws import delivery
from hvac_heartbeat.aws.mail import subject
from hvac_heartbeat.store.telling import Delivery, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BODY = {"version": 1, "scope": "site", "at": "2026-10-06T02:14:00+00:00", "site_id": "building-a", "told": 25}


def message(number: int, text: str = "building-a: 25 of 25 silent since 02:10 UTC", **more: Any) -> Message:
    body = BODY | {"text": text, "device_ids": [f"ahu-{device}" for device in range(20)]} | more
    return Message(number, f"silence-opened-{number}", "Silence Opened", body, frozenset())


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    delivery._client.cache_clear()
    with mock_aws():
        yield
    delivery._client.cache_clear()


class Events:
    """Stands in for EventBridge where it refuses some entries, which moto never does."""

    def __init__(self, *refused: str) -> None:
        self.calls: list[list[dict[str, str]]] = []
        self.refused = refused

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.calls.append(Entries)
        results = [
            {"ErrorCode": "ThrottlingException"}
            if json.loads(entry["Detail"])["dedup_id"] in self.refused
            else {"EventId": "1"}
            for entry in Entries
        ]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def test_ten_events_go_in_a_call_and_those_that_were_refused_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events("silence-opened-3", "silence-opened-21")
    monkeypatch.setattr(delivery, "_client", lambda *_: events)
    assert delivery.send(delivery.EventBus("default"), [message(number) for number in range(25)], 1e12) == {3, 21}
    assert [len(call) for call in events.calls] == [10, 10, 5]
    entry = events.calls[0][0]
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "hvac-heartbeat",
        "Silence Opened",
        "default",
    )


@pytest.mark.parametrize(
    ("bus", "region"), [("default", None), ("arn:aws:events:us-east-1:123456789012:event-bus/ops", "us-east-1")]
)
def test_a_bus_is_called_in_its_own_region(bus: str, region: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    events = {region: Events()}
    monkeypatch.setattr(delivery, "_client", lambda _, region: events[region])
    assert delivery.send(delivery.EventBus(bus), [message(1)], 1e12) == set()


def test_a_call_stays_under_256_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()
    monkeypatch.setattr(delivery, "_client", lambda *_: events)
    large = [message(number, "é" * 50_000) for number in range(5)]
    assert delivery.send(delivery.EventBus("b"), large, 1e12) == set()
    sizes = [sum(len(entry["Detail"].encode()) for entry in call) for call in events.calls]
    assert len(sizes) == 3
    assert max(sizes) < 256 * 1024


@pytest.mark.usefixtures("aws")
def test_eventbridge_takes_what_is_sent() -> None:
    assert delivery.EventBus("default").send([message(1), message(2)]) == set()


@pytest.mark.usefixtures("aws")
def test_a_topic_gets_words_that_a_person_reads() -> None:
    topic = boto3.client("sns", region_name="eu-west-1").create_topic(Name="alerts")["TopicArn"]
    queue = boto3.client("sqs", region_name="eu-west-1").create_queue(QueueName="q")["QueueUrl"]
    boto3.client("sns", region_name="eu-west-1").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:q"
    )
    assert delivery.Topic(topic).send([message(1, site_id="Gebäude\n7")]) == set()
    [got] = boto3.client("sqs", region_name="eu-west-1").receive_message(QueueUrl=queue)["Messages"]
    notice = json.loads(got["Body"])
    assert notice["Subject"] == "Silence Opened: Geb?ude?7"
    lines = notice["Message"].splitlines()
    assert lines[0] == "building-a: 25 of 25 silent since 02:10 UTC"
    assert lines[2:4] + lines[21:23] == ["ahu-0", "ahu-1", "ahu-19", "and 5 more"]


@pytest.mark.usefixtures("aws")
def test_a_topic_that_is_gone_refuses_and_does_not_raise() -> None:
    gone = delivery.Topic("arn:aws:sns:eu-west-1:123456789012:gone")
    assert delivery.send(gone, [message(1), message(2)], 1e12) == {1, 2}


def test_a_subject_has_a_hundred_characters_at_most() -> None:
    assert len(subject(message(1, site_id="x" * 256))) == 100


class Outbox:
    """An outbox in memory."""

    def __init__(self, *waiting: Message) -> None:
        self.waiting = list(waiting)
        self.noted: list[Delivery] = []

    def lease(self, channels: Sequence[str], deadline: float) -> list[Message]:
        leased, self.waiting = self.waiting, []
        return leased

    def note(self, deliveries: Sequence[Delivery], deadline: float) -> None:
        self.noted += deliveries


class Broken(delivery._OneByOne):
    """A channel whose library raises at some messages, with a secret in the text."""

    name = "broken"

    def __init__(self, *poison: int) -> None:
        self.poison = poison

    def send(self, messages: Sequence[Message]) -> set[int]:
        if messages[0].id in self.poison:
            raise RuntimeError("https://hooks.example.com/secret")
        return set()


class Slow(delivery._OneByOne):
    """A channel that takes as long for each message as a host that never answers, and the clock beside it."""

    name = "slow"
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def send(self, messages: Sequence[Message]) -> set[int]:
        self.now += 6
        return {message.id for message in messages}


class Well(delivery._OneByOne):
    """A channel that takes everything."""

    name = "well"

    def send(self, messages: Sequence[Message]) -> set[int]:
        return set()


def test_a_channel_that_fails_keeps_no_other_from_its_messages(capsys: pytest.CaptureFixture[str]) -> None:
    outbox: Any = Outbox(message(1))
    assert delivery.deliver(outbox, [Broken(1), Well()], 1e12) == (0, 1)
    [noted] = outbox.noted
    assert (noted.channels, noted.is_failed) == (["well"], True)
    assert "secret" not in capsys.readouterr().out


def test_a_message_that_a_channel_cannot_take_keeps_no_other_from_it() -> None:
    assert delivery.send(Broken(2), [message(1), message(2), message(3)], 1e12) == {2}


def test_an_entry_that_eventbridge_refuses_the_call_for_fails_no_other_call(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()

    def put_events(Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if "é" in Entries[0]["Detail"]:
            raise RuntimeError("ValidationException")
        return events.put_events(Entries)

    monkeypatch.setattr(delivery, "_client", lambda *_: SimpleNamespace(put_events=put_events))
    assert delivery.send(delivery.EventBus("b"), [message(1), message(2, "é" * 300_000), message(3)], 1e12) == {2}


def test_a_send_that_never_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody resolves, or a host with ten addresses of which none answers, takes no timeout of ours."""
    over = Event()
    monkeypatch.setattr(delivery, "_SEND_S", 0.05)
    monkeypatch.setattr(Well, "send", lambda *_: over.wait(5) and set())
    started = time.monotonic()
    assert delivery.send(Well(), [message(1), message(2)], started + 0.05) == {1, 2}
    assert time.monotonic() - started < 2
    over.set()


@pytest.mark.parametrize("deadline", [28.5, 1e12])
def test_what_was_sent_is_noted_before_time_or_lease_is_over_however_slow_a_channel_is(
    deadline: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all channels would have all messages again, minute by minute."""
    slow = Slow()
    monkeypatch.setattr(delivery, "time", slow)
    outbox: Any = Outbox(*map(message, range(50)))
    assert delivery.deliver(outbox, [slow, Well()], deadline) == (0, 50)
    assert [noted.channels for noted in outbox.noted] == [["well"]] * 50
    assert slow.now < min(deadline, 60)


def test_nothing_is_leased_that_there_is_no_time_to_send() -> None:
    outbox: Any = Outbox(message(1))
    assert delivery.deliver(outbox, [Well()], 0.0) == (0, 0)
    assert len(outbox.waiting) == 1
