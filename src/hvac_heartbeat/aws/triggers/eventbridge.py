"""EventBridge: an event with heartbeats in its `detail`, and the bare tick of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws import answers, envelopes
from hvac_heartbeat.aws.decoding import Malformed, decode
from hvac_heartbeat.aws.triggers.base import Trigger, raise_if_failed
from hvac_heartbeat.aws.triggers.direct import Direct

if TYPE_CHECKING:
    from hvac_heartbeat.aws.sweep import Swept
    from hvac_heartbeat.outcome import Outcome
    from hvac_heartbeat.records import Record
    from hvac_heartbeat.settings import Settings


class EventBridge(Direct):
    """Recognised by `detail-type` and `source` (EventBridge User Guide, Events); invoked asynchronously."""

    name = "eventbridge"
    limit = None  # nobody would read the refusal

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take an EventBridge envelope whose detail has a sign of a heartbeat."""
        if not (isinstance(event, dict) and "detail-type" in event and "source" in event):
            return False
        try:
            # EventBridge Scheduler sends `detail` as a string of JSON.
            return Direct.recognises(decode(event.get("detail")))
        except Malformed:
            return False

    def records(self, settings: Settings) -> list[Record]:  # noqa: ARG002 - no setting concerns EventBridge
        """Return the detail as one record that arrived at the event's `time`."""
        return [envelopes.opened(f"event {self.event.get('id')}", self.event, None)]


class Schedule(Trigger):
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

    def records(self, settings: Settings) -> list[Record]:  # noqa: ARG002 - a tick brings none
        """Return no record."""
        return []

    def answer(self, outcome: Outcome) -> object:
        """Return the mission's answer; a tick that could run the sweep is answered with `summary` instead."""
        raise_if_failed(outcome)
        return answers.accepted(outcome)

    def summary(self, swept: Swept) -> object:
        """Phrase what the sweep counted."""
        return answers.swept(swept.fleet, swept.stale)
