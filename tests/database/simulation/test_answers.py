"""`simulate` where heartbeats are refused, or reach nobody."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from hvac_heartbeat.cli.simulation import Onlooker
from hvac_heartbeat.local.fleet import Heartbeat, LiveFleet
from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND
from hvac_heartbeat.local.fleet.readings import Readings
from hvac_heartbeat.local.simulation import Away, HttpAgent, Simulation
from hvac_heartbeat.local.simulation.agents import verdicts
from tests.database.simulation.play import SEED, PastClock, is_as_sent, listening, played

if TYPE_CHECKING:
    import psycopg


def test_an_answer_says_what_became_of_each_heartbeat() -> None:
    beats = [Heartbeat(name, "s", 0) for name in "abc"]
    mixed = {"updated_devices": ["a"], "outdated_devices": ["c"], "rejected": [{"index": 1}]}
    assert verdicts(beats, 207, mixed) == ["written", "rejected", "outdated"]
    assert verdicts(beats, 404, {"message": "Not Found"}) == ["rejected"] * 3
    for status in (429, 503):
        with pytest.raises(Away):
            verdicts(beats, status, {"message": "later"})


def test_an_error_of_the_simulation_itself_ends_it() -> None:
    fleet = LiveFleet(SEED, devices=5, sites=1, length=5 * SECOND)
    started = time.time() - 4
    with Onlooker(fleet, started) as onlooker:
        readings = Readings(SEED, fleet, started)
        simulation = Simulation(fleet, readings, lambda _: (200, {"updated_devices": 7}), onlooker, started=started)
        with pytest.raises(TypeError):
            simulation.run(side_by_side=True)


def test_a_server_that_is_away_is_told_once_and_the_run_goes_on(
    ledger: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, fleet = PastClock(240), LiveFleet(SEED, devices=20, sites=2, length=4 * MINUTE)
    with ExitStack() as later, listening(0) as first:
        agent = later.enter_context(HttpAgent(urlsplit(first.url)))
        second = listening(first.server_port)

        def close() -> None:
            first.shutdown()
            first.server_close()
            agent.close()  # or the thread of its connection would answer on

        def open_again() -> None:
            later.enter_context(second)

        clock.at = {60: close, 120: open_again}
        simulation, _ = played(clock, fleet, lambda payload: agent.ask("POST", "/heartbeat", payload))
    said = capsys.readouterr().out
    assert said.count("nobody takes the heartbeats (Connection refused)") == 1
    failed = simulation.account.counts["failed"]
    assert 15 < failed < 30
    assert f"{failed} were dropped" in said
    assert not is_as_sent(simulation, clock)


def test_a_database_that_refuses_a_device_is_told_once(
    ledger: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.execute("ALTER TABLE device_state ADD CONSTRAINT not_00 CHECK (site_id <> 'building-00')")
    clock, fleet = PastClock(60), LiveFleet(SEED, devices=10, sites=2, length=MINUTE)
    for batch in (1, 10):
        simulation, _ = played(clock, fleet, batch=batch)
        said = capsys.readouterr().out
        assert said.count("heartbeats are rejected, this one first: ") == 1
        assert "not_00" in said
        counts = simulation.account.counts
        assert counts["rejected"] == sum(
            beat.site == "building-00" for beat in fleet.beats() if beat.received_at < MINUTE
        )
        assert not is_as_sent(simulation, clock)
