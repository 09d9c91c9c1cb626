"""SNS: notifications of a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.envelopes import as_object, clock, first_is, name_of, opened, part
from hvac_heartbeat.aws.triggers.direct import Direct

if TYPE_CHECKING:
    from hvac_heartbeat.records import Record
    from hvac_heartbeat.settings import Settings


class Sns(Direct):
    """A topic invokes asynchronously: it reads no answer and sends again what raises.

    Source: "Invoking Lambda functions with Amazon SNS notifications", AWS Lambda Developer Guide.
    """

    name = "sns"
    limit = None  # nobody would read the refusal

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take `Records` of the source aws:sns."""
        return first_is(as_object(event).get("Records"), "EventSource", "aws:sns")

    def records(self, settings: Settings) -> list[Record]:  # noqa: ARG002 - no setting concerns a topic
        """Return one record a notification, published at its `Timestamp`."""
        notifications = [part(record, "Sns") for record in self.event["Records"]]
        return [
            opened(name_of(sns, "MessageId") or f"message {index}", sns.get("Message"), clock(sns.get("Timestamp")))
            for index, sns in enumerate(notifications)
        ]
