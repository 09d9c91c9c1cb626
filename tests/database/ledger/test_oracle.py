"""The answers equal an independent calculation to the microsecond, for made-up fleets and any session's time zone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.ledger.oracle import FLOOR, SECOND, Interval, Report, Window, World, report

if TYPE_CHECKING:
    from decimal import Decimal

    from tests.database.ledger.clock import Ledger

MINUTE = 60 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# In each of these two days clocks change somewhere: in Europe, in North America, on Lord Howe Island by half an hour.
BEGINS = [
    datetime(*day, tzinfo=UTC) for day in ((2026, 10, 24), (2026, 10, 31), (2026, 3, 28), (2026, 3, 7), (2026, 4, 3))
]
SPAN = 2 * 24 * 60
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns")
SITES = ("north", "south")
RULES = (FLOOR, FLOOR + 1, 5 * MINUTE, 30 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE)
WORLDS_PER_SEED = 12


def moment(time: int | None) -> datetime | None:
    return None if time is None else EPOCH + timedelta(microseconds=time)


def microseconds(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(microseconds=1)


class Maker:
    """Makes worlds up, with times on whole minutes for the most part, so that bounds often meet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - made-up histories
        self.begin = self.chance.choice(BEGINS)
        self.zero = (self.begin - EPOCH) // timedelta(microseconds=1)

    def time(self, starts: int = 0, ends: int = SPAN) -> int:
        off = self.chance.choice((0, 0, 0, 0, 1, -1, self.chance.randrange(MINUTE)))
        return self.zero + self.chance.randint(starts, ends) * MINUTE + off

    def interval(self) -> tuple[int, int | None]:
        starts = self.time()
        length = self.chance.choice((1, 2, 5, 30, 120, 600, 1500)) * MINUTE + self.chance.choice((0, 0, 1, -1))
        return starts, None if self.chance.random() < 0.1 else starts + length

    def windows(self) -> list[Window]:
        scopes = [("device", f"d{number}") for number in range(4)] + [("site", site) for site in SITES]
        return [Window(*self.interval(), *self.chance.choice(scopes)) for _ in range(self.chance.randrange(8))]

    def heartbeats(self, now: int) -> list[tuple[int, str]]:
        times = {self.time() for _ in range(self.chance.randint(1, 14))}
        for start in list(times):
            steps = self.chance.choice((0, 1, 3))
            times |= {start + step * self.chance.choice((MINUTE, 2 * MINUTE, 2 * MINUTE + 1)) for step in range(steps)}
        past = sorted(time for time in times if time <= now) or [now - self.chance.randrange(10 * MINUTE)]
        return [(time, self.chance.choice(SITES)) for time in past]

    def world(self) -> World:
        now = self.time(SPAN // 2)
        scopes = (
            [("fleet", "")] + [("site", site) for site in SITES] + [("device", f"d{number}") for number in range(4)]
        )
        return World(
            heartbeats={f"d{number}": self.heartbeats(now) for number in range(4)},
            policies={scope: self.chance.choice(RULES) for scope in scopes if self.chance.random() < 0.4},
            windows=self.windows(),
            deaf=[Interval(*self.interval()) for _ in range(self.chance.randrange(5))],
            ledger_start=self.time(-SPAN, SPAN // 4),
            now=now,
        )


def write(ledger: Ledger, world: World) -> None:
    """Fill the tables with what the ledger holds of such a history."""
    execute = ledger.connection.execute
    execute("TRUNCATE device_state, silence, first_heartbeat, liveness_policy, deaf_interval, maintenance_window")
    execute("UPDATE ledger_start SET started_at = %s", [moment(world.ledger_start)])
    execute("UPDATE clock.time SET now = %s", [moment(world.now)])
    for device, beats in world.heartbeats.items():
        last, site = beats[-1]
        row = [device, site, moment(last)]
        execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES (%s, %s, %s)", row)
        execute("UPDATE first_heartbeat SET first_seen_ts = %s WHERE device_id = %s", [moment(beats[0][0]), device])
        sites = dict(beats)
        for silent_from, silent_to in world.gaps(device):
            if silent_to is not None:
                gap = [device, moment(silent_from), moment(silent_to), sites[silent_from]]
                execute("INSERT INTO silence VALUES (%s, %s, %s, %s)", gap)
    for (scope, subject), stale_after in world.policies.items():
        days, rest = divmod(stale_after, 24 * 60 * MINUTE)
        seconds, rest = divmod(rest, 1_000_000)  # PostgreSQL 14 reads no field beyond 32 bits
        ledger.policy(scope, subject, f"{days} days {seconds} seconds {rest} microseconds")
    for interval in world.deaf:
        execute("INSERT INTO deaf_interval (starts_at, ends_at) VALUES (%s, %s)", [*bounds(interval)])
    write_maintenance(ledger, world)


def bounds(interval: Interval) -> tuple[datetime | None, datetime | None]:
    return moment(interval.starts), moment(interval.ends)


def write_maintenance(ledger: Ledger, world: World) -> None:
    ledger.connection.execute("TRUNCATE maintenance_window")
    for window in world.windows:
        ledger.connection.execute(
            "INSERT INTO maintenance_window (scope, subject, starts_at, ends_at) VALUES (%s, %s, %s, %s)",
            [window.scope, window.subject, *bounds(window)],
        )


def agree(found: tuple[Any, ...], expected: Report) -> bool:
    """Compare figures; a mean is the nearest microsecond, a share is right to 15 digits."""
    observed, silent, availability, silences, longest, mean = found
    exact = (expected.observed, expected.silent, len(expected.silences), max(expected.silences, default=0))
    if (microseconds(observed), microseconds(silent), silences, microseconds(longest)) != exact:
        return False
    return near(availability, expected.availability, Fraction(1, 10**15)) and near(
        microseconds(mean), expected.mean_time_to_return, Fraction(1, 2)
    )


def near(found: Decimal | int | None, expected: Fraction | None, distance: Fraction) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return abs(Fraction(found) - expected) <= distance


def check_reports(ledger: Ledger, world: World, maker: Maker) -> int:
    """Compare all figures for some periods; return how many silences were among them."""
    seen = 0
    for _ in range(3):
        since, until = (maker.chance.choice((None, maker.time(-SPAN, SPAN + 60))) for _ in range(2))
        ledger.connection.execute("SELECT set_config('TimeZone', %s, false)", [maker.chance.choice(ZONES)])
        expected = {device: report(world, device, since, until) for device in world.heartbeats}
        period = moment(since), moment(until)
        found = {row[0]: row[1:] for row in ledger.rows("SELECT * FROM device_availability(%s, %s)", *period)}
        assert found.keys() == expected.keys()
        sites: dict[str, Report] = {}
        for device, figures in expected.items():
            site = world.heartbeats[device][-1][1]
            assert found[device][0] == site
            assert agree(found[device][1:], figures), (world, device, period, found[device], figures)
            sites[site] = sites.get(site, Report(0, ())) + figures
            seen += len(figures.silences)
        for site, devices, *figures_found in ledger.rows("SELECT * FROM site_availability(%s, %s)", *period):
            assert devices == sum(beats[-1][1] == site for beats in world.heartbeats.values())
            assert agree(tuple(figures_found), sites.pop(site)), (world, site, period, figures_found)
        assert not sites
    return seen


def check_present(ledger: Ledger, world: World) -> None:
    """Compare every silence, and every device's liveness."""
    ledger.connection.execute("SET TimeZone = 'UTC'")
    world.cut()
    silences = {
        (device, moment(a), moment(b), world.counts(device, a, world.now if b is None else b))
        for device in world.heartbeats
        for a, b in world.gaps(device)
    }
    assert set(ledger.rows("SELECT device_id, silent_from, silent_to, counts FROM v_silences")) == silences, world
    present = {
        (device, world.liveness(device), world.is_maintained(device, world.now), world.stale_after(device))
        for device in world.heartbeats
    }
    found = ledger.rows("SELECT device_id, liveness, in_maintenance, stale_after FROM v_device_liveness")
    assert {(*row[:3], microseconds(row[3])) for row in found} == present, world


@pytest.mark.parametrize("seed", range(20))
def test_the_answers_equal_an_independent_calculation(ledger: Ledger, seed: int) -> None:
    """Also after maintenance was edited afterwards."""
    maker = Maker(seed)
    seen = 0
    for _ in range(WORLDS_PER_SEED):
        world = maker.world()
        write(ledger, world)
        check_present(ledger, world)
        seen += check_reports(ledger, world, maker)
        world.windows = maker.windows()
        write_maintenance(ledger, world)
        seen += check_reports(ledger, world, maker)
    assert seen > WORLDS_PER_SEED  # else the histories are too dull to show anything
