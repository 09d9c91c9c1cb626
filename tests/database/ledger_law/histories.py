"""What devices send, made up from a seed, and how it reaches the function: in any order, twice, in any events."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Event: TypeAlias = list[dict[str, Any]]

# Around the floor of 120 seconds, to the microsecond that PostgreSQL keeps.
STEPS = (0, 0.5, 60, 119.999999, 120, 120.000001, 121, 180, 240, 3600, 86_400)
SITES = ("north", "south", "roof")
LONG_AGO = timedelta(days=30)
MOST = 10  # heartbeats a device


@dataclass(frozen=True)
class Heard:
    """A heartbeat as a device sends it; without a time it is cut to, or gets, the database's now()."""

    seen_at: datetime | None
    site: str


@dataclass
class History:
    """One device: the row that it had before there was a ledger, if any, and what it sent."""

    device: str
    before: Heard | None = None
    heard: list[Heard] = field(default_factory=list)

    @property
    def reaches_now(self) -> bool:
        """Whether a heartbeat was written at the database's now()."""
        return any(heartbeat.seen_at is None for heartbeat in self.heard)


@dataclass
class Run:
    """Some devices, and the events in which their heartbeats came."""

    seed: int
    histories: list[History]
    events: list[Event]


def make_run(seed: int, devices: int, slots: int, now: datetime) -> Run:
    """Make up the histories of some devices and deliver each device's heartbeats in some of these events."""
    chance = random.Random(seed)  # noqa: S311 - the same histories again
    events: list[Event] = [[] for _ in range(slots)]
    histories = [_history(f"{seed}-{number}", chance, now) for number in range(devices)]
    for history in histories:
        _deliver(history, events, chance, now)
    for event in events:
        chance.shuffle(event)
    return Run(seed, histories, [event for event in events if event])


def _history(device: str, chance: random.Random, now: datetime) -> History:
    seen_at = now - LONG_AGO + timedelta(seconds=chance.randrange(86_400))
    history = History(device)
    for _ in range(chance.randint(1, MOST)):
        history.heard.append(Heard(seen_at, chance.choice(SITES)))
        seen_at += timedelta(seconds=chance.choice(STEPS))
    if chance.random() < 0.3:
        shift = timedelta(seconds=chance.choice((-121, -60, 0, 0, 60)))
        found = chance.choice(history.heard).seen_at
        history.before = Heard(found and found + shift, chance.choice(SITES))
    if chance.random() < 0.1:
        history.heard.append(Heard(None, chance.choice(SITES)))
    return history


def _deliver(history: History, events: list[Event], chance: random.Random, now: datetime) -> None:
    """Put each heartbeat into an event at random, some into two; one device in four sends all in order."""
    in_order = chance.random() < 0.25
    place = 0
    for heartbeat in history.heard:
        place = min(place + chance.randrange(3), len(events) - 1) if in_order else chance.randrange(len(events))
        events[place].append(_body(history.device, heartbeat, chance, now))
        if heartbeat.seen_at is not None and chance.random() < 0.15:
            events[chance.randrange(len(events))].append(_body(history.device, heartbeat, chance, now))


def _body(device: str, heartbeat: Heard, chance: random.Random, now: datetime) -> dict[str, Any]:
    body: dict[str, Any] = {"device_id": device, "site_id": heartbeat.site}
    if heartbeat.seen_at is not None:
        body["received_at"] = heartbeat.seen_at.isoformat()
    elif chance.random() < 0.5:
        body["received_at"] = (now + timedelta(days=chance.randint(1, 400))).isoformat()
    if chance.random() < 0.3:  # so that older ones of an event are written too, as steps of their own
        body[chance.choice(("cpu_pct", "disk_free_gb", "queue_depth"))] = chance.randrange(100)
    return body


def utc_now() -> datetime:
    """Return now, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
