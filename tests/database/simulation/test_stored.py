"""`simulate`: what a made-up fleet sent is what the table and the ledger say, and where it is not, that is told."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from hvac_heartbeat.cli.simulation import read_database
from hvac_heartbeat.local.fleet import LiveFleet
from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.simulation import HttpAgent
from hvac_heartbeat.local.simulation.read_back import read_back
from hvac_heartbeat.local.web import api
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings
from tests.database.simulation.play import SEED, PastClock, is_as_sent, listening, played

if TYPE_CHECKING:
    import psycopg


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
