"""Kinesis and Kafka: a shard or partition, which one rejected record must not hold up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.envelopes import (
    as_object,
    clock,
    get_name,
    get_object,
    is_from,
    unwrap_records,
)
from hvac_heartbeat.aws.triggers.base import Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hvac_heartbeat.outcome import Outcome
    from hvac_heartbeat.reading import Record
    from hvac_heartbeat.settings import Settings


class Stream(Trigger):
    """Rejected records are logged by name, counted and passed; a failed one brings the whole batch back."""

    def answer(self, outcome: Outcome) -> object:
        """Report nothing.

        Raises:
            StoreUnavailable: when anything failed; the batch is sent again, and a replay is harmless.
        """
        if outcome.failure is not None:
            raise outcome.failure
        return {"batchItemFailures": []}


class Kinesis(Stream):
    """Records of a data stream.

    Source: "Using Lambda to process records from Amazon Kinesis Data Streams", AWS Lambda Developer Guide.
    """

    name = "kinesis"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take `Records` of the source aws:kinesis."""
        return is_from(as_object(event).get("Records"), "eventSource", "aws:kinesis")

    def messages(self) -> Iterable[tuple[str | None, dict[str, Any]]]:
        """Return each record's `eventID`, which is its shard and sequence number, and its Kinesis part."""
        return [(get_name(record, "eventID"), get_object(record, "kinesis")) for record in self.event["Records"]]

    def records(self, settings: Settings) -> Iterator[Record]:  # noqa: ARG002 - no setting concerns a stream
        """Return one record each, arrived at its `approximateArrivalTimestamp` (seconds)."""
        return unwrap_records(
            [
                (
                    name or get_name(kinesis, "sequenceNumber") or f"record {index}",
                    kinesis.get("data"),
                    clock(kinesis.get("approximateArrivalTimestamp")),
                )
                for index, (name, kinesis) in enumerate(self.messages())
            ],
            base64=True,
        )


class Kafka(Stream):
    """Records of Amazon MSK or a self-managed Kafka, which share one form.

    Source: "Using Lambda with Amazon MSK" and "Using Lambda with self-managed Apache Kafka", AWS Lambda Developer
    Guide. Where the topic's timestamps are CreateTime, the clock is the producer's.
    """

    name = "kafka"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take the top-level sources aws:kafka and SelfManagedKafka."""
        return as_object(event).get("eventSource") in _KAFKAS and isinstance(event.get("records"), dict)

    def messages(self) -> Iterable[dict[str, Any]]:
        """Return the messages of every partition."""
        for messages in self.event["records"].values():
            yield from map(as_object, messages if isinstance(messages, list) else [messages])

    def records(self, settings: Settings) -> Iterator[Record]:  # noqa: ARG002 - no setting concerns a stream
        """Return one record each, named `topic-partition@offset`, of the time that Kafka has for it (milliseconds)."""
        return unwrap_records(
            [
                (
                    f"{message.get('topic')}-{message.get('partition')}@{message.get('offset')}",
                    message.get("value"),
                    clock(message.get("timestamp")),
                )
                for message in self.messages()
            ],
            base64=True,
        )


_KAFKAS = ["aws:kafka", "SelfManagedKafka"]  # a list, because what is looked for need not be hashable
