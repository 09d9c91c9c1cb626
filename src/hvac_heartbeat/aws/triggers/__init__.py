"""The triggers, most specific first, and the one question that is put to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws.triggers.direct import Direct, Unknown
from hvac_heartbeat.aws.triggers.eventbridge import EventBridge

if TYPE_CHECKING:
    from hvac_heartbeat.aws.triggers.base import Trigger

TRIGGERS: tuple[type[Trigger], ...] = (EventBridge, Direct, Unknown)


def recognise(event: Any) -> Trigger:
    """Return the trigger that the event came from; the last one takes everything."""
    return next(trigger(event) for trigger in TRIGGERS if trigger.recognises(event))
