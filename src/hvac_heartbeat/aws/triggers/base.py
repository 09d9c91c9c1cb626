"""What a trigger is: it recognises its envelope, takes the records out of it, and phrases the answer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hvac_heartbeat.aws import answers
from hvac_heartbeat.errors import EventRefused, StoreUnavailable
from hvac_heartbeat.ingest import ingest
from hvac_heartbeat.outcome import Outcome
from hvac_heartbeat.reading import Record, iot_binding
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from hvac_heartbeat.aws.handler import Container

SIGNS = frozenset({"device_id", "site_id", "devices", "topic_device"})


class Trigger(ABC):
    """One event of one kind, and what became of it. Subclasses are asked in the order of `triggers.TRIGGERS`."""

    name: ClassVar[str]
    refuse_too_many: ClassVar[bool] = False  # where somebody reads the refusal
    caller_timeout_s: ClassVar[float] = math.inf  # how long the caller waits for an answer
    counts: Mapping[str, int] = {}  # what there is to log beside the outcome

    def __init__(self, event: Any) -> None:
        self.event = event
        self.outcome = Outcome()

    @classmethod
    @abstractmethod
    def recognises(cls, event: Any) -> bool:
        """Say whether the event has this trigger's envelope; never raises, whatever the event."""

    def handle(self, get_container: Callable[[], Container], deadline: float) -> object:
        """Do what the event asks for, and answer; `deadline` is of `time.monotonic`.

        An event that is refused by its envelope alone asks for no container, and so for no setting. Raises EventRefused
        when the whole event cannot be taken, SettingsError, and StoreUnavailable as `answer` does.
        """
        container = get_container()
        records = self.records(container.settings)
        self.outcome = ingest(records, container.writer, deadline, refuse_too_many=self.refuse_too_many)
        return self.answer(self.outcome)

    def fail(self, failure: StoreUnavailable) -> object:
        """Answer an event that nothing could be done about yet; raises as `handle`."""
        self.outcome = Outcome(failure=failure)
        return self.answer(self.outcome)

    @abstractmethod
    def records(self, settings: Settings) -> Iterable[Record]:
        """Take the records out of the envelope; raises EventRefused when the whole event cannot be taken."""

    def answer(self, outcome: Outcome) -> object:
        """Phrase the outcome, or raise StoreUnavailable so that the trigger's source sends the event again.

        To an asynchronous caller a quiet 500 would be a success.
        """
        if outcome.failure is not None:
            raise outcome.failure
        return answers.written(outcome)

    def refuse(self, refusal: EventRefused) -> object:
        """Phrase the refusal of the whole event."""
        return answers.refused(refusal)


class Direct(Trigger):
    """The bare payload of a direct call, an IoT rule or a constant Input: a heartbeat, `{"devices": [...]}` or a list.

    An IoT rule adds `topic_device`, `topic_site` and `received_at` of its own.
    """

    name = "direct"
    refuse_too_many: ClassVar[bool] = True

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return not SIGNS.isdisjoint(event) if isinstance(event, dict) else isinstance(event, list) and bool(event)

    def records(self, settings: Settings) -> Iterable[Record]:  # noqa: ARG002 - no setting concerns a direct call
        return [Record("event", self.event, own_clock=True, binding=iot_binding(self.event))]


class Unknown(Direct):
    """An event that nobody sends heartbeats in: what remains when all others were asked."""

    name = "unknown"

    @classmethod
    def recognises(cls, event: Any) -> bool:  # noqa: ARG003 - it is what remains
        return True

    def handle(self, get_container: Callable[[], Container], deadline: float) -> object:  # noqa: ARG002 - it needs none
        raise EventRefused(
            400, 'The event holds no heartbeats: send one object with device_id and site_id, or {"devices": [...]}'
        )
