"""An EventBridge event with heartbeats in its `detail`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat import fields
from hvac_heartbeat.aws.triggers.direct import Direct
from hvac_heartbeat.ingest import Record

if TYPE_CHECKING:
    from datetime import datetime

    from hvac_heartbeat.settings import Settings


class EventBridge(Direct):
    """Recognised by `detail-type` and `source` (EventBridge User Guide, Events); invoked asynchronously."""

    name = "eventbridge"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take an EventBridge envelope whose detail has a sign of a heartbeat."""
        return (
            isinstance(event, dict)
            and "detail-type" in event
            and "source" in event
            and Direct.recognises(event.get("detail"))
        )

    def records(self, settings: Settings) -> list[Record]:  # noqa: ARG002 - no setting concerns EventBridge
        """Return the detail as one record that arrived at the event's `time`."""
        return [Record(str(self.event.get("id", "event")), self.event["detail"], _time(self.event.get("time")))]


def _time(value: object) -> datetime | None:
    try:
        return fields.moment(value)
    except fields.Unusable:
        return None
