"""Holds what is in the database against what the oracle says."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.fleet.incidents import SECOND
from tests.simulated_month.truth import told_alive
from tests.simulated_month.words import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulated_month.oracle import Oracle
    from tests.simulated_month.play import Play
    from tests.simulated_month.stage import Stage

_LEFT_OUT: Final = ("version", "kind", "scope", "at")
_TIMES: Final = ("silent_from", "returned_at", "ended_at")


@dataclass(frozen=True)
class Counts:
    """What came of one month."""

    sweeps: int
    struck_down: int
    silences: int
    episodes: int
    messages: int
    digests: int
    standing: int
    flapping: int
    fleet_silences: int
    deaf: int
    told_soon: int
    alive_in_outages: int
    alive_otherwise: int
    false: int
    missed: int
    twice: int
    late: int

    @property
    def row(self) -> tuple[int, ...]:
        """The numbers alone."""
        return astuple(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return what they count."""
        return tuple(field.name.replace("_", " ") for field in fields(cls))


def differences(stage: Stage, oracle: Oracle) -> list[str]:
    """Return where the tables are not as the oracle says, a line each, the earliest first."""
    judgement = oracle.judgement
    found = [
        *_differ(
            "silence",
            "device_id, clock.since(silent_from), clock.since(silent_to), site_id",
            stage,
            ((name, gap.starts, gap.ends, gap.site) for name, gap in oracle.facts.all_gaps()),
        ),
        *_differ(
            "first_heartbeat",
            "device_id, clock.since(first_seen_ts)",
            stage,
            (
                (device.name, device.lives[0].first)
                for device in (*oracle.facts.devices.values(), *oracle.facts.gone)
                if not device.is_old
            ),
        ),
        *_differ(
            "episode",
            "device_id, clock.since(opened_at), clock.since(silent_from), clock.since(closed_at),"
            " clock.since(returned_at), site_id, is_flapping, told_open, told_flapping, told_closed",
            stage,
            (
                (
                    one.device,
                    one.opened_at,
                    one.silent_from,
                    one.closed_at,
                    one.returned_at,
                    one.site,
                    one.is_flapping,
                    one.told_open,
                    one.told_flapping,
                    one.told_closed,
                )
                for one in oracle.episodes
            ),
        ),
        *_differ(
            "fleet_silence",
            "'', clock.since(opened_at), clock.since(silent_from), clock.since(ended_at),"
            " evidence, is_deaf, told_began, told_ended",
            stage,
            (
                (
                    "",
                    one.opened_at,
                    one.silent_from,
                    one.ended_at,
                    one.evidence,
                    one.is_deaf,
                    one.told_began,
                    one.told_ended,
                )
                for one in judgement.fleet_silences
            ),
        ),
        *_differ(
            "deaf_interval",
            "'', clock.since(starts_at), clock.since(ends_at)",
            stage,
            (("", *span) for span in judgement.deaf),
        ),
    ]
    written = Counter(map(_key, _written(stage)))
    expected = Counter(_key((one.at, one.kind, one.scope, one.body)) for one in oracle.outbox.messages)
    found += [(key[0], f"message at {_clock(key[0])} too many: {key[1:]}") for key in written - expected]
    found += [(key[0], f"message at {_clock(key[0])} lacking: {key[1:]}") for key in expected - written]
    return [line for _, line in sorted(found)]


def _differ(table: str, columns: str, stage: Stage, expected: Iterable[tuple[Any, ...]]) -> list[tuple[int, str]]:
    query = f"SELECT {columns} FROM {table}"  # noqa: S608 - of our own words
    rows, wanted = Counter(stage.rows(query)), Counter(expected)
    names = [name.strip().removeprefix("clock.since(").rstrip(")") for name in columns.split(",")]
    found = []
    for word, lines in (("too many", rows - wanted), ("lacking", wanted - rows)):
        for row in lines:
            values = (_clock(value) if type(value) is int else value for value in row)
            said = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
            found.append((row[1], f"{table} {word}: {said}"))
    return found


def _written(stage: Stage) -> list[tuple[int, str, str, dict[str, Any]]]:
    rows = stage.rows("SELECT clock.since(created_at), kind, scope, body FROM silence_message ORDER BY id")
    return [(at, kind, scope, body) for at, kind, scope, body in rows]


def _key(message: tuple[int, str, str, dict[str, Any]]) -> tuple[int, str, str, str]:
    at, kind, scope, body = message
    said = {name: _plain(name, value) for name, value in body.items() if name not in _LEFT_OUT}
    return at, kind, scope, str(sorted(said.items()))


def _plain(name: str, value: Any) -> Any:
    if name in _TIMES:
        return _clock(value if isinstance(value, int) else _microseconds(value))
    if name == "largest":
        return [sorted((inner, _plain(inner, of)) for inner, of in one.items()) for one in value]
    return value


def _microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - ORIGIN) // timedelta(microseconds=1)


def _clock(at: int) -> str:
    """Write a time as the hour of the month's long day."""
    seconds, rest = divmod(at, SECOND)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" + (f".{rest:06}" if rest else "")


def count(stage: Stage, play: Play) -> Counts:
    """Count what happened in a month, and what was told falsely, not at all, twice and late."""
    oracle = play.oracle
    written = Counter(map(_key, _written(stage)))
    expected = Counter(_key((one.at, one.kind, one.scope, one.body)) for one in oracle.outbox.messages)
    contents = Counter((kind, scope, said) for _, kind, scope, said in written.elements())
    alive = told_alive(play.fleet, oracle.episodes)
    scopes = Counter(scope for _, _, scope, _ in written.elements())
    return Counts(
        sweeps=play.sweeps,
        struck_down=play.struck,
        silences=sum(1 for _ in oracle.facts.all_gaps()),
        episodes=len(oracle.episodes),
        messages=written.total(),
        digests=scopes["digest"],
        standing=scopes["standing"],
        flapping=sum(episode.told_flapping for episode in oracle.episodes),
        fleet_silences=len(oracle.judgement.fleet_silences),
        deaf=len(oracle.judgement.deaf),
        told_soon=play.punctuality.soon,
        alive_in_outages=alive.in_outages,
        alive_otherwise=alive.otherwise,
        false=(written - expected).total(),
        missed=(expected - written).total(),
        twice=sum(number - 1 for number in contents.values()),
        late=play.punctuality.late,
    )
