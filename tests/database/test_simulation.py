"""`simulate`: what a made-up fleet sent is what the table and the ledger say, and where it is not, that is told."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.aws import handler
from hvac_heartbeat.cli.simulation import Onlooker, read_database, show_end
from hvac_heartbeat.local.fleet import LiveFleet
from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND
from hvac_heartbeat.local.fleet.readings import Readings
from hvac_heartbeat.local.gateway import Gateway
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.simulation import HttpAgent, Simulation, handler_agent
from hvac_heartbeat.local.simulation.read_back import read_back
from hvac_heartbeat.local.web import api
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

SEED = 7


class PastClock:
    """A clock that is ahead of nobody: a run of minutes that ends just now, in no time."""

    def __init__(self, lasts_s: float, *, interrupted: bool = False) -> None:
        self.started = self._now = time.time() - lasts_s
        self._ends = self.started + lasts_s if interrupted else float("inf")
        self.at: dict[float, Callable[[], None]] = {}

    def time(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
        if self._now >= self._ends:
            raise KeyboardInterrupt
        for at in [at for at in self.at if self._now >= self.started + at]:
            self.at.pop(at)()


def played(
    clock: PastClock, fleet: LiveFleet, post: Callable[[Any], Any] | None = None, batch: int = 1
) -> tuple[Simulation, bool]:
    """Play a run; without `post`, by the handler, which is told when each heartbeat arrived."""

    def arrived(event: dict[str, Any]) -> Any:
        return handler_agent(event | {"received_at": clock.time()})

    with Onlooker(fleet, clock.started, clock) as onlooker:
        readings = Readings(SEED, fleet, clock.started)
        simulation = Simulation(
            fleet, readings, post or arrived, onlooker, started=clock.started, batch=batch, clock=clock
        )
        onlooker.introduce("somewhere", simulation.account)
        return simulation, simulation.run(side_by_side=False)


def is_as_sent(simulation: Simulation, clock: PastClock) -> bool:
    account = simulation.account
    return show_end(account, clock.started, lambda: read_database(account, clock.started), is_stopped=False)


@pytest.fixture
def ledger(connection: psycopg.Connection, environment: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A database with the ledger, which DB_* names."""
    schema.migrate(connection)
    handler.reset()
    yield connection
    handler.reset()


@pytest.mark.parametrize("batch", [1, 100])
def test_ten_minutes_are_stored_as_they_were_sent(
    ledger: psycopg.Connection, capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    clock, fleet = PastClock(600), LiveFleet(SEED, devices=60, sites=6, length=10 * MINUTE)
    simulation, is_stopped = played(clock, fleet, batch=batch)
    assert not is_stopped
    assert is_as_sent(simulation, clock)
    said = capsys.readouterr().out
    for incident in fleet.incidents.seen:
        if incident.kind == "site":
            assert f"{incident.site} goes dark ({len(incident.devices)} devices) until " in said
            assert f"{incident.site} comes back ({len(incident.devices)} devices)\n" in said
    silent = {device for incident in fleet.incidents.seen if incident.kind != "uploads" for device in incident.devices}
    stored = ledger.execute("SELECT DISTINCT device_id FROM v_silences").fetchall()
    assert {device for (device,) in stored} == silent
    row = next(line for line in said.splitlines() if line.startswith("silences"))
    assert row.split()[1] == row.split()[2]
    assert int(row.split()[1]) >= len(silent)
    assert simulation.account.counts["written"] == simulation.account.sent > 500


def test_a_site_that_is_dark_when_it_is_stopped_is_dark_on_the_page_too(ledger: psycopg.Connection) -> None:
    fleet = LiveFleet(SEED, devices=60, sites=6, length=10 * MINUTE)
    dark = next(incident for incident in fleet.incidents.seen if incident.kind == "site")
    clock = PastClock(dark.starts / SECOND + 178, interrupted=True)
    simulation, is_stopped = played(clock, fleet)
    assert is_stopped
    assert is_as_sent(simulation, clock)
    found = ledger.execute("SELECT site_id, is_dark FROM v_site_liveness WHERE stale > 1").fetchall()
    assert found == [(dark.site, True)]
    ledger.execute("UPDATE device_state SET updated_at = last_seen_ts")  # written at that time, too
    ledger.execute("SELECT FROM sweep()")
    told = ledger.execute("SELECT body ->> 'text' FROM silence_message WHERE site_id = %s", [dark.site]).fetchall()
    count = len(dark.devices)
    assert [text.startswith(f"{dark.site}: {count} of {count} silent since ") for (text,) in told] == [True]
    stuck = {device for device, at in fleet.incidents.stuck.items() if at < 0} - {*dark.devices}
    counted = ledger.execute("SELECT sum(not_delivering) FROM v_site_liveness").fetchall()
    assert counted[0][0] >= len(stuck) > 0


def test_what_is_not_stored_as_it_was_sent_is_named(
    ledger: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, fleet = PastClock(600), LiveFleet(SEED, devices=60, sites=6, length=10 * MINUTE)
    simulation, _ = played(clock, fleet)
    gone, moved, old = (devices[0] for devices in list(fleet.sites.values())[:3])
    ledger.execute("DELETE FROM device_state WHERE device_id = %s", [gone])
    ledger.execute("UPDATE device_state SET site_id = 'elsewhere' WHERE device_id = %s", [moved])
    ledger.execute("UPDATE device_state SET last_seen_ts = now() - interval '4 minutes' WHERE device_id = %s", [old])
    lost = ledger.execute(
        "DELETE FROM silence WHERE device_id NOT IN (%s, %s, %s) RETURNING device_id", [gone, moved, old]
    )
    assert lost.rowcount > 10
    capsys.readouterr()
    assert not is_as_sent(simulation, clock)
    said = capsys.readouterr().out
    assert f"{gone} was written at " in said
    assert f"{moved} is at building-01, but device_state says elsewhere" in said
    assert f"{old} was written at " in said
    assert "but the ledger does not say so" in said
    assert "differences more." in said
    assert "What was sent is what is stored." not in said


def test_a_silence_that_nobody_made_is_named(ledger: psycopg.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    clock, fleet = PastClock(240), LiveFleet(SEED, devices=10, sites=2, length=4 * MINUTE)
    simulation, _ = played(clock, fleet)
    ledger.execute(
        "INSERT INTO silence SELECT 'building-00/000', now() - interval '210 s', now() - interval '50 s', 'x'"
    )
    ledger.execute(
        "INSERT INTO silence SELECT 'of-another-run', now() - interval '210 s', now() - interval '50 s', 'x'"
    )
    assert not is_as_sent(simulation, clock)
    said = capsys.readouterr().out
    assert said.count("the ledger says that building-00/000 was silent from ") == 1
    assert "of-another-run" not in said


@contextmanager
def listening(port: int, routes: Routes | None = None) -> Iterator[Gateway]:
    with Gateway("127.0.0.1", port, lambda _: None, routes=routes or Routes({}), access=Access()) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()


def test_the_read_api_says_the_same_as_the_database(
    ledger: psycopg.Connection, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hvac_heartbeat.local.simulation.read_back._ROWS", 7)  # so that there are pages
    clock, fleet = PastClock(600), LiveFleet(SEED, devices=60, sites=6, length=10 * MINUTE)
    simulation, _ = played(clock, fleet)
    with ExitStack() as stack:
        model = ReadModel(Settings.from_environment(environment))
        stack.callback(model.close)
        gateway = stack.enter_context(listening(0, Routes(api.routes(model))))
        agent = stack.enter_context(HttpAgent(urlsplit(gateway.url)))
        asked = read_back(lambda path: agent.ask("GET", path), [*fleet.sites, "nowhere"], clock.started)
        known = read_database(simulation.account, clock.started)
        assert asked is not None
        assert asked.devices == known.devices
        assert len(asked.devices) == 60
        assert sorted(asked.silences or ()) == sorted(known.silences or ())
        assert len(list(asked.silences or ())) == 20
        ledger.execute("DROP VIEW v_silences CASCADE")
        without = read_back(lambda path: agent.ask("GET", path), fleet.sites, clock.started)
        assert without is not None
        assert without.silences is None
    with listening(0) as deployed, HttpAgent(urlsplit(deployed.url)) as agent:
        assert read_back(lambda path: agent.ask("GET", path), fleet.sites, clock.started) is None


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
