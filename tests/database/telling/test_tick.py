"""A tick on a database that can tell: it sweeps, delivers, and says so in metrics."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import StoreUnavailable
from tests.database.dark_site import darken
from tests.triggers.trigger_samples import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg


class Slack:
    """Takes what is posted, and answers with the status that a test says."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.status = 200
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                slack.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(slack.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep standard error for pytest."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/secret"


class Function:
    """The function as Lambda calls it, and what it wrote to the log."""

    def __init__(self, handler: Callable[[object], Any], capture: pytest.CaptureFixture[str]) -> None:
        self._handler = handler
        self._capture = capture

    def tick(self) -> dict[str, Any]:
        """Invoke it by the schedule, and return the answer's body."""
        body: dict[str, Any] = json.loads(self._handler(sample("schedule"))["body"])
        return body

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capture.readouterr().out.splitlines()]


@pytest.fixture
def function(slack: Slack, handler: Callable[[object], Any], capsys: pytest.CaptureFixture[str]) -> Function:
    """Made after the webhook, which it reads of once."""
    return Function(handler, capsys)


@pytest.fixture
def slack(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    slack = Slack()
    thread = threading.Thread(target=slack.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HEARTBEAT_WEBHOOK_URL", slack.url)
    yield slack
    slack.server.shutdown()
    thread.join()
    slack.server.server_close()


@pytest.fixture(autouse=True)
def dark(connection: psycopg.Connection) -> None:
    """Building-a has been silent for five minutes; six others are well."""
    darken(connection, "<building-a>")


def test_a_tick_tells_and_says_so_in_metrics(function: Function, slack: Slack) -> None:
    body = function.tick()
    assert (body["fleet_devices"], body["stale_devices"], body["told"], body["delivered"]) == (9, 3, 1, 1)
    (line,) = function.log()
    assert line["SweepCompleted"] == 1
    units = {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert (units["told"], units["sweep_ms"], units["SweepCompleted"]) == ("Count", "Milliseconds", "Count")
    [posted] = slack.posted
    assert posted["text"].startswith("&lt;building-a&gt;: 3 of 3 silent since "), "Slack would read a mention in it"
    assert posted["kind"] == "Silence Opened"


def test_a_tick_beside_a_sweep_that_hangs_does_not_say_that_it_swept(
    function: Function, connection: psycopg.Connection
) -> None:
    """Or the alarm for want of sweeps stays silent while nobody is told."""
    with connection.transaction():
        connection.execute("SELECT sweep()")
        body = function.tick()
    assert (body["message"], body["skipped"]) == ("Another sweep is running", 1)
    (line,) = function.log()
    assert not {"SweepCompleted", "fleet_devices", "stale_devices"} & line.keys()


def test_what_was_delivered_is_not_delivered_again(function: Function, slack: Slack) -> None:
    function.tick()
    assert function.tick()["delivered"] == 0
    assert len(slack.posted) == 1


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_was_refused_is_sent_again_later_with_the_same_id(
    status: int, function: Function, slack: Slack, connection: psycopg.Connection
) -> None:
    slack.status = status
    body = function.tick()
    assert (body["delivered"], body["undelivered"]) == (0, 1)
    assert function.tick()["undelivered"] == 0, "not before half a minute is over"
    connection.execute("UPDATE silence_message SET next_attempt_at = now()")
    slack.status = 200
    assert function.tick()["delivered"] == 1
    assert len({posted["dedup_id"] for posted in slack.posted}) == 1
    assert connection.execute("SELECT attempts, delivered_to FROM silence_message").fetchone() == (1, ["webhook"])
    assert "secret" not in json.dumps(function.log())


def test_without_a_channel_nothing_is_leased(
    function: Function, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEARTBEAT_WEBHOOK_URL")
    assert "delivered" not in function.tick()
    assert connection.execute("SELECT count(*) FROM silence_message WHERE leased_until IS NULL").fetchone() == (1,)


def test_the_first_sweep_after_an_outage_says_since_when_the_database_was_away(
    function: Function, connection: psycopg.Connection, slack: Slack
) -> None:
    function.tick()
    connection.execute("ALTER FUNCTION sweep RENAME TO away")
    with pytest.raises(StoreUnavailable):
        function.tick()
    connection.execute("ALTER FUNCTION away RENAME TO sweep")
    connection.execute("UPDATE device_state SET last_seen_ts = now() - interval '200 s', updated_at = NULL")
    function.tick()
    evidence = connection.execute("SELECT evidence FROM fleet_silence").fetchone()
    assert evidence == ("the database could not be reached",)
