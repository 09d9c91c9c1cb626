"""EventBridge: an event with heartbeats in its `detail`, and the bare tick of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws import answers
from hvac_heartbeat.aws.envelopes import DecodeError, decode, unwrap_record
from hvac_heartbeat.aws.triggers.base import Direct
from hvac_heartbeat.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.aws.handler import Container
    from hvac_heartbeat.reading import Record
    from hvac_heartbeat.settings import Settings


class EventBridge(Direct):
    """Recognised by `detail-type` and `source` (EventBridge User Guide, Events); invoked asynchronously."""

    name = "eventbridge"
    refuse_too_many = False  # nobody would read the refusal

    @classmethod
    def recognises(cls, event: Any) -> bool:
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

    @classmethod
    def recognises(cls, event: Any) -> bool:
        """Take what the two schedulers send ("Scheduled Event"); `EventBridge` has been asked before."""
        return (
            isinstance(event, dict)
            and "detail-type" in event
            and event.get("source") in ("aws.events", "aws.scheduler")
        )

    def handle(self, get_container: Callable[[], Container], deadline: float) -> object:
        """Return the numbers of devices and of stale ones, none where another sweep is running."""
        try:
            counts = get_container().sweeper.run(deadline)
        except StoreUnavailable as failure:
            return self.fail(failure)
        # Its absence alarms, also where every sweep finds one that hangs and holds the lock.
        self.counts = counts if "skipped" in counts else counts | {"SweepCompleted": 1}
        return answers.swept(counts)
