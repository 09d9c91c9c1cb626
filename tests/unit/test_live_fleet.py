"""The fleet for somebody to watch: seen healthy first, and then what goes wrong is over within the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.cli.simulation import say
from hvac_heartbeat.local.fleet import LiveFleet
from hvac_heartbeat.local.fleet.incidents import MINUTE, SECOND
from hvac_heartbeat.local.fleet.readings import Readings

if TYPE_CHECKING:
    from hvac_heartbeat.local.fleet import Heartbeat

SEEDS = range(1, 4)


def fleet(seed: int, minutes: int = 10) -> LiveFleet:
    return LiveFleet(seed, devices=300, sites=20, length=minutes * MINUTE)


def times(simulated: LiveFleet) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for beat in simulated.beats():
        found.setdefault(beat.device, []).append(beat.received_at)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_all_devices_beat_within_seconds_and_each_once_a_minute_from_then_on(seed: int) -> None:
    simulated = fleet(seed)
    beats: list[Heartbeat] = list(simulated.beats())
    assert [beat.received_at for beat in beats] == sorted(beat.received_at for beat in beats)
    assert {beat.device for beat in beats if beat.received_at < 3 * SECOND} == {*simulated.incidents.devices}
    silent = {device for incident in simulated.incidents.seen for device in incident.devices}
    for device, heard in times(simulated).items():
        if device not in silent:
            assert max(after - before for before, after in pairwise(heard)) < 75 * SECOND
            assert heard[-1] > simulated.length - 75 * SECOND


@pytest.mark.parametrize("seed", SEEDS)
def test_a_site_goes_dark_after_a_quiet_start_and_is_back_within_the_run(seed: int) -> None:
    for minutes in (7, 10, 30):
        simulated = fleet(seed, minutes)
        incidents = simulated.incidents.seen
        assert min(incident.starts for incident in incidents if incident.kind != "uploads") >= 190 * SECOND
        dark = incidents[[incident.kind for incident in incidents].index("site")]
        assert dark.starts < 205 * SECOND
        assert sorted(dark.devices) == sorted(simulated.sites[dark.site])
        assert dark.ends == dark.starts + 3 * MINUTE
        heard = times(simulated)
        dead = {incident.devices[0] for incident in incidents if incident.kind == "device"}
        for device in {*dark.devices} - dead:
            gap = max(pairwise(heard[device]), key=lambda pair: pair[1] - pair[0])
            assert gap[1] - gap[0] > 170 * SECOND
            assert dark.ends < gap[1] < dark.ends + 20 * SECOND


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_is_too_short_for_a_silence_has_none(seed: int) -> None:
    assert fleet(seed, 6).incidents.seen == []


def test_some_devices_are_degraded_and_some_alive_without_uploading() -> None:
    simulated = fleet(7)
    readings = Readings(7, simulated, 1_700_000_000)
    last = {beat.device: (beat, readings.heartbeat(beat)) for beat in simulated.beats()}
    statuses = [said["status"] for _, said in last.values()]
    assert statuses.count("ready") > 270
    assert statuses.count("degraded") > 3
    stuck = set()
    for device, (beat, said) in last.items():
        at = datetime.fromtimestamp(1_700_000_000 + beat.received_at / SECOND).astimezone()
        if at - datetime.fromisoformat(said["last_upload_ts"]) > timedelta(minutes=2):
            stuck.add(device)
            assert said["queue_depth"] > 0
    incidents = simulated.incidents.seen
    [began] = [incident for incident in incidents if incident.kind == "uploads"]
    dead = {device for incident in incidents if incident.kind == "device" for device in incident.devices}
    assert stuck >= {*began.devices} - dead
    assert 6 <= len(stuck) <= 9


def test_one_device_at_one_site_is_a_fleet_too() -> None:
    simulated = LiveFleet(1, devices=1, sites=1, length=10 * MINUTE)
    assert {incident.kind for incident in simulated.incidents.seen} == {"site", "gateway", "device", "uploads"}
    assert len(list(simulated.beats())) > 1


def test_what_a_server_says_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    say("503 \x1b[2J\nnext line")
    assert capsys.readouterr().out == "503 \N{REPLACEMENT CHARACTER}[2J\nnext line\n"
