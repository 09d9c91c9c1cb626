"""EventBridge: an event with heartbeats in its `detail`, and the bare tick of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws import answers
from hvac_heartbeat.aws.envelopes import DecodeError, decode, unwrap_record
from hvac_heartbeat.aws.triggers.direct import Direct

if TYPE_CHECKING:
    from hvac_heartbeat.aws.handler import Container
    from hvac_heartbeat.records import Record
    from hvac_heartbeat.settings import Settings


class EventBridge(Direct):
    """Recognised by `detail-type` and `source` (EventBridge User Guide, Events); invoked asynchronously."""

    name = "eventbridge"
    refuse_too_many = False  # nobody would read the refusal

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take an EventBridge envelope whose detail has a sign of a heartbeat."""
        if not (isinstance(event, dict) and "detail-type" in event and "source" in event):
            return False
        try:
            # EventBridge Scheduler sends `detail` as a string of JSON.
            return Direct.recognises(decode(event.get("detail")))
        except DecodeError:
            return False

    def records(self, settings: Settings) -> list[Record]:  # noqa: ARG002 - no setting concerns EventBridge
        """Return the detail as one record that arrived at the event's `time`."""
        return [unwrap_record(f"event {self.event.get('id')}", self.event, None)]


class Schedule(Direct):
    """The tick of a rule's schedule or of EventBridge Scheduler, without heartbeats: it runs the sweep."""

    name = "schedule"

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take what the two schedulers send ("Scheduled Event"); `EventBridge` has been asked before."""
        return (
            isinstance(event, dict)
            and "detail-type" in event
            and event.get("source") in ("aws.events", "aws.scheduler")
        )

    def handle(self, container: Container, deadline: float) -> object:
        """Return the numbers of devices and of stale ones."""
        counts = container.sweeper.run(deadline)
        self.counts = counts | {"SweepCompleted": 1}  # its absence alarms
        return answers.swept(counts)
