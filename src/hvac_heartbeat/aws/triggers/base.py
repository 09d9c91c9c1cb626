"""What a trigger is: it recognises its envelope, takes the records out of it, and phrases the answer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hvac_heartbeat.aws import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hvac_heartbeat.errors import EventRefused
    from hvac_heartbeat.outcome import Outcome
    from hvac_heartbeat.records import Record
    from hvac_heartbeat.settings import Settings


class Trigger(ABC):
    """One event of one kind. Subclasses are asked in the order of `triggers.TRIGGERS`."""

    name: ClassVar[str]
    limit: ClassVar[int | None] = None  # heartbeats in one event, where the caller can be told to send fewer
    patience_s: ClassVar[float] = math.inf  # how long the caller waits for an answer

    def __init__(self, event: Any) -> None:
        """Take an event that this class has recognised."""
        self.event = event

    @staticmethod
    @abstractmethod
    def recognises(event: Any) -> bool:
        """Say whether the event has this trigger's envelope; never raises, whatever the event."""

    def check(self) -> None:  # noqa: B027 - most triggers have nothing to refuse here
        """Refuse an event before any setting is read or any record taken.

        Raises:
            EventRefused: when it is not meant for this function.
        """

    @abstractmethod
    def records(self, settings: Settings) -> Sequence[Record]:
        """Take the records out of the envelope.

        Raises:
            EventRefused: when the whole event cannot be taken.
        """

    @abstractmethod
    def answer(self, outcome: Outcome) -> object:
        """Phrase the outcome.

        Raises:
            StoreUnavailable: when the trigger's source should send the event again.
        """

    def refuse(self, refusal: EventRefused) -> object:
        """Phrase the refusal of the whole event."""
        return answers.refused(refusal)


def raise_if_failed(outcome: Outcome) -> None:
    """Raise what the store raised, so that an asynchronous caller retries (a quiet 500 would be a success to it)."""
    if outcome.failure is not None:
        raise outcome.failure
