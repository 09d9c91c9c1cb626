"""The simulated fleet: the same from the same seed, in order, and silent where it has to be."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from hvac_heartbeat.local.fleet import Delivery, Fleet
from hvac_heartbeat.local.fleet.incidents import HOUR, SECOND

SEEDS = range(1, 4)


def fleet(seed: int) -> Fleet:
    return Fleet(seed, devices=40, sites=4, length=6 * HOUR)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_fleet(seed: int) -> None:
    assert fleet(seed).events == fleet(seed).events
    assert fleet(seed).events != fleet(seed + 1).events


@pytest.mark.parametrize("seed", SEEDS)
def test_events_come_in_the_order_of_time(seed: int) -> None:
    times = [event.at for event in fleet(seed).every_event()]
    assert times == sorted(times)
    assert len(times) > 2000


@pytest.mark.parametrize("seed", SEEDS)
def test_steady_heartbeats_are_at_most_two_minutes_apart(seed: int) -> None:
    for run in fleet(seed).steady:
        times = [run.stretch.received(number) for number in range(run.first - 1, run.last + 2)]
        assert max(after - before for before, after in pairwise(times)) <= 120 * SECOND


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_written_in_an_outage_of_ours(seed: int) -> None:
    simulated = fleet(seed)
    outages = [outage for outage in simulated.incidents.outages if len(outage.paths) == 2]
    written = [event.at for event in simulated.every_event() if isinstance(event, Delivery)]
    assert not [at for at in written for outage in outages if outage.starts <= at < outage.ends]


def test_what_was_queued_in_an_outage_comes_afterwards_with_the_time_at_which_it_arrived() -> None:
    late = [
        event.at - heartbeat.received_at
        for seed in SEEDS
        for event in fleet(seed).events
        if isinstance(event, Delivery)
        for heartbeat in event.heartbeats
    ]
    assert min(late) >= 0
    assert len(list(islice((delay for delay in late if delay > 300 * SECOND), 20))) == 20
