"""A direct call, an IoT rule or a constant Input: the event is the heartbeat, `{"devices": [...]}` or a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hvac_heartbeat.aws import answers
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.reading import Record, iot_binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hvac_heartbeat.aws.handler import Container
    from hvac_heartbeat.outcome import Outcome
    from hvac_heartbeat.settings import Settings

SIGNS = frozenset({"device_id", "site_id", "devices", "topic_device"})


class Direct(Trigger):
    """The bare payload, asked last. An IoT rule adds `topic_device`, `topic_site` and `received_at` of its own."""

    name = "direct"
    refuse_too_many: ClassVar[bool] = True

    @staticmethod
    def recognises(event: Any) -> bool:
        """Take any object with a sign of a heartbeat, and any list that is not empty."""
        return not SIGNS.isdisjoint(event) if isinstance(event, dict) else isinstance(event, list) and bool(event)

    def records(self, settings: Settings) -> Iterable[Record]:  # noqa: ARG002 - no setting concerns a direct call
        """Return the event as one record, bound to its topic where a rule named one."""
        return [Record("event", self.event, own_clock=True, binding=iot_binding(self.event))]

    def answer(self, outcome: Outcome) -> object:
        """Return `{"statusCode", "body"}`."""
        if outcome.failure is not None:
            raise outcome.failure
        return answers.written(outcome)


class Unknown(Direct):
    """An event that nobody sends heartbeats in."""

    name = "unknown"

    @staticmethod
    def recognises(event: Any) -> bool:  # noqa: ARG004 - it is what remains
        """Take everything."""
        return True

    def handle(self, get_container: Callable[[], Container], deadline: float) -> object:  # noqa: ARG002 - it needs none
        """Refuse the event."""
        raise EventRefused(
            400, 'The event holds no heartbeats: send one object with device_id and site_id, or {"devices": [...]}'
        )
