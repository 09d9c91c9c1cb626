"""SNS: notifications of a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.envelopes import as_object, clock, get_name, get_object, is_from, unwrap_records
from hvac_heartbeat.aws.triggers.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hvac_heartbeat.reading import Record
    from hvac_heartbeat.settings import Settings


class Sns(Direct):
    """A topic invokes asynchronously: it reads no answer and sends again what raises.

    Source: "Invoking Lambda functions with Amazon SNS notifications", AWS Lambda Developer Guide.
    """

    name = "sns"
    refuse_too_many = False  # nobody would read the refusal

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take `Records` of the source aws:sns."""
        return is_from(as_object(event).get("Records"), "EventSource", "aws:sns")

    def records(self, settings: Settings) -> Iterator[Record]:  # noqa: ARG002 - no setting concerns a topic
        """Return one record a notification, published at its `Timestamp`."""
        notifications = [get_object(record, "Sns") for record in self.event["Records"]]
        return unwrap_records(
            [
                (get_name(sns, "MessageId") or f"message {index}", sns.get("Message"), clock(sns.get("Timestamp")))
                for index, sns in enumerate(notifications)
            ]
        )
