"""SQS: messages of a queue, each reported by its id when it should come again or be set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.envelopes import as_object, clock, get_name, get_object, is_from, unwrap_records
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.reading import Record
    from hvac_heartbeat.settings import Settings


class Sqs(Trigger):
    """Messages with SNS or EventBridge envelopes inside them or not.

    Source: "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source in Lambda", AWS Lambda
    Developer Guide. The order within a FIFO queue does not matter: the envelope's clock decides.
    """

    name = "sqs"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take `Records` of the source aws:sqs."""
        return is_from(as_object(event).get("Records"), "eventSource", "aws:sqs")

    def messages(self) -> list[Any]:
        """Return the messages."""
        found: list[Any] = self.event["Records"]
        return found

    def records(self, settings: Settings) -> Iterator[Record]:  # noqa: ARG002 - no setting concerns a queue
        """Return one record a message, sent at its `SentTimestamp` (milliseconds, as text)."""
        return unwrap_records(
            [
                (
                    get_name(message, "messageId") or f"message {index}",
                    as_object(message).get("body"),
                    clock(get_object(message, "attributes").get("SentTimestamp")),
                )
                for index, message in enumerate(self.messages())
            ]
        )

    def answer(self, outcome: Outcome) -> object:
        """Report the messages that failed, to come again, and the rejected, for the queue's redrive to set aside.

        Raises:
            StoreUnavailable: when something failed and no message got through (that keeps the messages even where
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
