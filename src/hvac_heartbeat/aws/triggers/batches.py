"""SQS, SNS, Kinesis and Kafka: batches of records, each of which holds one content.

EventBridge Pipes hands on a list of a source's records, each flat and with its `eventSource`, also when it holds one
record ("Amazon EventBridge Pipes sources", EventBridge User Guide). It is answered as that source.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from hvac_heartbeat.aws.envelopes import as_object, base64_content, clock, get_name, get_object, unwrap_records
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.outcome import Outcome, Verdict
from hvac_heartbeat.reading import Record
from hvac_heartbeat.settings import Settings


class Batch(Trigger):
    """`Records`, the first of which names its source."""

    sources: ClassVar[tuple[str, ...]]
    source_key: ClassVar[str] = "eventSource"

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return cls.are_ours(as_object(event).get("Records"))

    @classmethod
    def are_ours(cls, records: object) -> bool:
        """Say whether this is a list that begins with a record of the source."""
        return isinstance(records, list) and bool(records) and as_object(records[0]).get(cls.source_key) in cls.sources

    def messages(self) -> Any:
        return self.event["Records"]

    @abstractmethod
    def open(self, message: Any) -> tuple[str | None, object, datetime | None]:
        """Return a message's name, its content and the time at which it arrived in AWS."""

    def records(self, settings: Settings) -> Iterator[Record]:  # noqa: ARG002 - no setting concerns a batch
        opened = enumerate(map(self.open, self.messages()))
        contents = [(name or f"record {index}", content, arrived) for index, (name, content, arrived) in opened]
        return unwrap_records(contents)


class Pipe(Batch):
    """A pipe's list, for the source that is named beside it."""

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return cls.are_ours(event)

    def messages(self) -> Any:
        return self.event


class Sqs(Batch):
    """Messages of a queue, each reported by its id when it should come again or be set aside.

    Source: "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source in Lambda", AWS Lambda
    Developer Guide. The order within a FIFO queue does not matter: the envelope's clock decides.
    """

    name = "sqs"
    sources = ("aws:sqs",)

    def open(self, message: Any) -> tuple[str | None, object, datetime | None]:
        sent = clock(get_object(message, "attributes").get("SentTimestamp"))  # milliseconds, as text
        return get_name(message, "messageId"), as_object(message).get("body"), sent

    def answer(self, outcome: Outcome) -> object:
        """Report the messages that failed, to come again, and the rejected, for the queue's redrive to set aside.

        Raises StoreUnavailable when something failed and no message got through (that keeps the messages even where
        nobody switched ReportBatchItemFailures on), or when a message that failed cannot be named.
        """
        verdicts = outcome.record_verdicts()
        reported: dict[str, None] = {}  # in the order of the event, each once
        unnamed = False
        for message, verdict in zip(self.messages(), verdicts, strict=False):
            name = get_name(message, "messageId")
            if verdict >= Verdict.REJECTED and name is not None:
                reported[name] = None
            unnamed |= verdict is Verdict.FAILED and name is None
        nothing_got_through = min(verdicts, default=Verdict.FAILED) >= Verdict.REJECTED
        if outcome.failure is not None and (unnamed or nothing_got_through):
            raise outcome.failure
        return {"batchItemFailures": [{"itemIdentifier": name} for name in reported]}


class Sns(Batch):
    """Notifications of a topic, which invokes asynchronously: it reads no answer and sends again what raises.

    Source: "Invoking Lambda functions with Amazon SNS notifications", AWS Lambda Developer Guide.
    """

    name = "sns"
    sources = ("aws:sns",)
    source_key = "EventSource"

    def open(self, message: Any) -> tuple[str | None, object, datetime | None]:
        sns = get_object(message, "Sns")
        return get_name(sns, "MessageId"), sns.get("Message"), clock(sns.get("Timestamp"))


class Stream(Batch):
    """A shard or a partition, which one rejected record must not hold up; a failed one brings the batch back."""

    def answer(self, outcome: Outcome) -> object:
        if outcome.failure is not None:
            raise outcome.failure
        return {"batchItemFailures": []}


class Kinesis(Stream):
    """Records of a data stream, named by `eventID`, which is shard and sequence number.

    Source: "Using Lambda to process records from Amazon Kinesis Data Streams", AWS Lambda Developer Guide.
    """

    name = "kinesis"
    sources = ("aws:kinesis",)

    def open(self, message: Any) -> tuple[str | None, object, datetime | None]:
        record = get_object(message, "kinesis") or as_object(message)  # flat in a pipe
        name = get_name(message, "eventID") or get_name(record, "sequenceNumber")
        return name, base64_content(record.get("data")), clock(record.get("approximateArrivalTimestamp"))  # seconds


class Kafka(Stream):
    """Records of Amazon MSK or a self-managed Kafka, which share one form: a list for each partition.

    Source: "Using Lambda with Amazon MSK" and "Using Lambda with self-managed Apache Kafka", AWS Lambda Developer
    Guide. Where the topic's timestamps are CreateTime, the clock is the producer's.
    """

    name = "kafka"
    sources = ("aws:kafka", "SelfManagedKafka")

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return as_object(event).get(cls.source_key) in cls.sources and isinstance(event.get("records"), dict)

    def messages(self) -> Any:
        partitions = self.event["records"].values()
        return [message for found in partitions for message in (found if isinstance(found, list) else [found])]

    def open(self, message: Any) -> tuple[str | None, object, datetime | None]:
        record = as_object(message)
        name = f"{record.get('topic')}-{record.get('partition')}@{record.get('offset')}"
        return name, base64_content(record.get("value")), clock(record.get("timestamp"))  # milliseconds


class PipesSqs(Pipe, Sqs):
    """A queue's messages, through a pipe."""

    name = "pipes-sqs"


class PipesKinesis(Pipe, Kinesis):
    """A data stream's records, through a pipe."""

    name = "pipes-kinesis"


class PipesKafka(Pipe, Kafka):
    """A topic's records, through a pipe."""

    name = "pipes-kafka"
