"""HEARTBEAT_LOG=minute, as inside Lambda: what went well is written once a minute, everything else at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import handler, invocation_log
from hvac_heartbeat.aws.triggers.base import Direct
from hvac_heartbeat.settings import Settings
from tests.triggers.conftest import Context
from tests.triggers.http_requests import request
from tests.triggers.trigger_samples import SAMPLES, TriggerSample, sample

if TYPE_CHECKING:
    from tests.triggers.conftest import Function

GOOD = {"device_id": "d", "site_id": "s"}
CLEAN_BYTES = 60  # of log, for a heartbeat where a container gets one a second
SECONDS = 600


class Clock:
    """The time that the log looks at."""

    now = 1_790_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(invocation_log, "time", clock)
    return clock


@pytest.fixture
def warm(function: Function, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Function:
    """A container that has logged its cold start."""
    monkeypatch.setenv("HEARTBEAT_LOG", "minute")
    function(GOOD)
    (line,) = function.log()
    assert line["cold_start"] is True
    return function


def test_a_clean_heartbeat_a_second_costs_at_most_sixty_bytes_of_log(warm: Function, clock: Clock) -> None:
    for _ in range(SECONDS):
        clock.now += 1
        warm(GOOD)
    written = warm.capture.readouterr().out
    each = len(written.encode()) / (SECONDS - 60)  # the last minute is still held
    assert written.count("\n") in {SECONDS // 60, SECONDS // 60 + 1}
    assert each <= CLEAN_BYTES


@pytest.mark.parametrize("trigger", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_trigger_has_a_record_of_its_own(trigger: TriggerSample, warm: Function, clock: Clock) -> None:
    for _ in range(3):
        warm(trigger.event([GOOD, GOOD]))
    assert warm.log() == []
    clock.now += 60
    warm(GOOD)
    (record,) = warm.log()
    assert record["message"] == "invocations"
    assert record["updated"] + record["outdated"] == 6
    assert len(record["database_ms"]) == len(record["total_ms"]) == 3
    assert all(0 < database <= total for database, total in zip(record["database_ms"], record["total_ms"], strict=True))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(GOOD | {"status": "sleepy"}, id="an ignored field"),
        pytest.param({"device_id": "d"}, id="a rejected heartbeat"),
        pytest.param({}, id="a refused event"),
        pytest.param(sample("rest-api") | {"path": "/nowhere"}, id="a refused request"),
        pytest.param(sample("schedule"), id="a tick"),
    ],
)
def test_what_there_is_more_to_say_of_is_written_at_once(event: object, warm: Function) -> None:
    warm(event)
    *_, line = warm.log()
    assert line["message"] == "invocation"
    warm(GOOD)
    assert warm.log() == []


def test_an_error_of_ours_is_written_at_once(warm: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Direct, "records", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            warm(GOOD)
    (line,) = warm.log()
    assert line["message"] == "invocation"


def test_a_look_at_the_health_is_held_like_a_heartbeat(warm: Function, clock: Clock) -> None:
    assert warm(request("http-api", "GET", "/health"))["statusCode"] == 200
    assert warm.log() == []
    clock.now += 60
    warm(GOOD)
    (record,) = warm.log()
    assert (record["trigger"], record["updated"], len(record["total_ms"])) == ("http-api", 0, 1)


def test_each_brings_the_line_of_every_invocation_back(
    function: Function, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_LOG", "each")
    for _ in range(5):
        function(GOOD)
        clock.now += 1
    lines = function.log()
    assert [line["message"] for line in lines] == ["invocation"] * 5
    assert all(later["_aws"]["Timestamp"] - one["_aws"]["Timestamp"] == 1000 for one, later in pairwise(lines))


def test_a_new_container_knows_nothing_of_what_another_held(warm: Function, clock: Clock) -> None:
    warm(GOOD)
    handler.reset()
    clock.now += 60
    warm(GOOD, Context())
    (line,) = warm.log()
    assert line["cold_start"] is True


@pytest.mark.parametrize(
    ("given", "log"),
    [
        ({}, "each"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, "minute"),
        ({"HEARTBEAT_LOG": "Minute"}, "minute"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f", "HEARTBEAT_LOG": "each"}, "each"),
    ],
)
def test_the_function_holds_lines_back_inside_lambda_and_nowhere_else_unless_told(
    given: dict[str, str], log: str
) -> None:
    database = {"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u", "DB_PASSWORD": "p"}
    assert Settings.from_environment(database | given).log == log
