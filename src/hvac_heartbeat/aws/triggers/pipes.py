"""EventBridge Pipes: a list of a source's records, each flat and with its `eventSource`, answered as that source.

Source: "Amazon EventBridge Pipes sources" and "Amazon EventBridge Pipes batching and concurrency", EventBridge User
Guide: Lambda gets the whole list, also when it holds one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.envelopes import as_object, get_name, is_from
from hvac_heartbeat.aws.triggers.sqs import Sqs
from hvac_heartbeat.aws.triggers.streams import Kafka, Kinesis

if TYPE_CHECKING:
    from collections.abc import Iterable


class PipesSqs(Sqs):
    """Messages of a queue."""

    name = "pipes-sqs"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take a list of the source aws:sqs."""
        return is_from(event, "eventSource", "aws:sqs")

    def messages(self) -> list[Any]:
        """Return the messages."""
        found: list[Any] = self.event
        return found


class PipesKinesis(Kinesis):
    """Records of a data stream."""

    name = "pipes-kinesis"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take a list of the source aws:kinesis."""
        return is_from(event, "eventSource", "aws:kinesis")

    def messages(self) -> Iterable[tuple[str | None, dict[str, Any]]]:
        """Return each record's `eventID` and the record."""
        return [(get_name(record, "eventID"), as_object(record)) for record in self.event]


class PipesKafka(Kafka):
    """Records of Amazon MSK or a self-managed Kafka."""

    name = "pipes-kafka"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take a list of the source aws:kafka or SelfManagedKafka."""
        return is_from(event, "eventSource", "aws:kafka") or is_from(event, "eventSource", "SelfManagedKafka")

    def messages(self) -> Iterable[dict[str, Any]]:
        """Return the messages."""
        return map(as_object, self.event)
