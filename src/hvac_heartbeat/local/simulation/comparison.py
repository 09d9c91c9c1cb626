"""What a run sent, held against what a database says: which devices there are, and who was silent from when to when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from hvac_heartbeat.local.simulation.account import FLOOR_S, SLACK_S, Account, Gap


class StoredDevice(NamedTuple):
    """A row of device_state."""

    site: str
    last_seen: float


class StoredSilence(NamedTuple):
    """A silence of the ledger; without an end it lasts."""

    device: str
    silent_from: float
    silent_to: float | None


class Stored(NamedTuple):
    """What is stored of a run; no silences where there is no ledger of them."""

    devices: Mapping[str, StoredDevice]
    silences: Iterable[StoredSilence] | None


@dataclass
class Comparison:
    """How many there should be, how many there are of them, and each difference in words."""

    devices: int
    devices_found: int = 0
    silences: int = 0
    silences_found: int = 0
    uncertain: int = 0
    differences: list[str] = field(default_factory=list)


def compare(account: Account, known: Stored, started: float, ended: float) -> Comparison:
    """Compare a run from `started` to `ended` with what is stored; without a ledger, of the devices alone."""
    written = {device: trail for device, trail in account.trails.items() if trail.last is not None}
    found = Comparison(len(written))
    for device, trail in sorted(written.items()):
        stored, last = known.devices.get(device), trail.last or 0.0
        if stored is None:
            found.differences.append(f"{device} was written at {_time(last)}, but device_state does not have it")
        elif stored.last_seen < last - SLACK_S:
            found.differences.append(
                f"{device} was written at {_time(last)}, but device_state says {_time(stored.last_seen)}"
            )
        elif stored.site != trail.site:
            found.differences.append(f"{device} is at {trail.site}, but device_state says {stored.site}")
        else:
            found.devices_found += 1
    if known.silences is not None:
        silences = [one for one in known.silences if one.silent_from >= started - SLACK_S]
        _compare_silences(found, account, silences, ended)
    return found


def _compare_silences(found: Comparison, account: Account, silences: list[StoredSilence], ended: float) -> None:
    stored: dict[str, list[StoredSilence]] = defaultdict(list)
    for silence in silences:
        if silence.device in account.trails:
            stored[silence.device].append(silence)
    for gap in sorted(account.gaps(ended), key=lambda gap: (gap.silent_from, gap.device)):
        alike = [one for one in stored[gap.device] if _is_of(one, gap)]
        for one in alike:
            stored[gap.device].remove(one)
        if not gap.is_certain:
            found.uncertain += 1
        elif alike:
            found.silences += 1
            found.silences_found += 1
        elif (gap.silent_to or ended) - gap.silent_from > FLOOR_S + SLACK_S:
            found.silences += 1
            found.differences.append(f"{_in_words(gap)}, but the ledger does not say so")
    for left in stored.values():
        found.differences += [f"the ledger says that {_in_words(one)}, but it was not" for one in left]


def _is_of(silence: StoredSilence, gap: Gap) -> bool:
    if not gap.is_certain:  # an unanswered heartbeat may have ended it or begun another
        return silence.silent_from >= gap.silent_from - SLACK_S and (
            gap.silent_to is None or silence.silent_from < gap.silent_to
        )
    if abs(silence.silent_from - gap.silent_from) > SLACK_S or (silence.silent_to is None) != (gap.silent_to is None):
        return False
    return silence.silent_to is None or gap.silent_to is None or abs(silence.silent_to - gap.silent_to) <= SLACK_S


def _in_words(silent: Gap | StoredSilence) -> str:
    until = "until now" if silent.silent_to is None else f"to {_time(silent.silent_to)}"
    return f"{silent.device} was silent from {_time(silent.silent_from)} {until}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%SZ}"
