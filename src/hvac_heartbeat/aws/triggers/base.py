"""What a trigger is: it recognises its envelope, takes the records out of it, and phrases the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hvac_heartbeat.errors import EventRefused
    from hvac_heartbeat.ingest import Outcome, Record
    from hvac_heartbeat.settings import Settings


class Trigger(ABC):
    """One event of one kind. Subclasses are asked in the order of `triggers.TRIGGERS`."""

    name: ClassVar[str]
    limit: ClassVar[int | None] = None  # heartbeats in one event, where the caller can be told to send fewer

    def __init__(self, event: Any) -> None:
        """Take an event that this class has recognised."""
        self.event = event

    @staticmethod
    @abstractmethod
    def recognises(event: Any) -> bool:
        """Say whether the event has this trigger's envelope; never raises, whatever the event."""

    @abstractmethod
    def records(self, settings: Settings) -> Sequence[Record]:
        """Take the records out of the envelope.

        Raises:
            EventRefused: when there is nothing in it that could be a heartbeat.
        """

    @abstractmethod
    def answer(self, outcome: Outcome) -> object:
        """Phrase the outcome.

        Raises:
            StoreUnavailable: when the trigger's source should send the event again.
        """

    @abstractmethod
    def refuse(self, refusal: EventRefused) -> object:
        """Phrase the refusal of the whole event."""


def raise_if_failed(outcome: Outcome) -> None:
    """Raise what the store raised, so that an asynchronous caller retries (a quiet 500 would be a success to it)."""
    if outcome.failure is not None:
        raise outcome.failure
