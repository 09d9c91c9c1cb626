"""`hvac-heartbeat serve` and docs/openapi.yaml: a real HTTP server, and a document that it keeps to."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat import schema
from tests.triggers.serving import SCRIPTS, Served, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

# What the examples of the document ask for has something of everything.
_HISTORY = """
INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('hvac-001', 'building-a', now());
INSERT INTO silence VALUES ('hvac-001', now() - interval '9 hours', now() - interval '8 hours', 'building-a');
INSERT INTO maintenance_window (scope, subject) VALUES ('device', 'hvac-001');
INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '2 hours', now() - interval '1 hour');
INSERT INTO fleet_silence (silent_from, opened_at) VALUES (now(), now());
INSERT INTO silence_message (dedup_id, kind, scope, body, created_at, next_attempt_at)
VALUES ('1', 'Ingest Deaf', 'fleet', '{"text": "deaf"}', now(), now());
"""

ROOT = Path(__file__).parents[2]
BEAT = '{"device_id": "d", "site_id": "s"}'


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[Served]:
    """The command, listening on a free port, writing to the test's own database."""
    with serving(os.environ | environment) as served:
        yield served


def test_an_agents_request_is_written_and_answered(served: Served, seen: Callable[[], dict[str, Any]]) -> None:
    response, body = served.ask("POST", "/heartbeat", BEAT, {"Content-Type": "application/json"})
    assert (response.status, response.getheader("content-type")) == (200, "application/json")
    assert body["updated_devices"] == ["d"]
    assert list(seen()) == ["d"]


def test_a_body_of_no_known_type_travels_in_base64(served: Served, seen: Callable[[], dict[str, Any]]) -> None:
    assert served.ask("POST", "/v1/heartbeat?x=1", BEAT)[0].status == 200
    assert served.ask("POST", "/", b'{"device_id": "\xff"}', {"Content-Type": "text/plain"})[0].status == 400
    assert list(seen()) == ["d"]


def test_what_is_not_there_and_what_is_too_much(served: Served) -> None:
    assert served.ask("GET", "/health")[1]["healthy"] is True
    assert served.ask("GET", "/heartbeat")[0].getheader("allow") == "POST"
    assert served.ask("BREW", "/health")[0].status == 405
    assert served.ask("POST", "/nowhere", BEAT)[0].status == 404
    assert served.ask("POST", "/", headers={"Content-Length": "soon"})[0].status == 400
    assert served.ask("POST", "/", headers={"Content-Length": str(10**9)})[0].status == 413
    response, body = served.ask("HEAD", "/health")
    assert (response.status, body) == (405, None)


def raw(served: Served, request: bytes) -> bytes:
    """Send these bytes, then end our side; return all that comes back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_body_that_ends_early_is_refused_even_if_it_is_whole_json(
    served: Served, seen: Callable[[], dict[str, Any]]
) -> None:
    for body in (BEAT, BEAT[:10], ""):
        answer = raw(served, f"POST /heartbeat HTTP/1.1\r\nContent-Length: 100\r\n\r\n{body}".encode())
        assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert seen() == {}
    assert served.ask("GET", "/health")[0].status == 200


@pytest.mark.parametrize(
    "request_line", [b"P\x1b[2JOST /heartbeat", b"POST /\x1b]0;owned\x07heartbeat", b"\x9b2J /\x00"]
)
def test_what_a_terminal_would_obey_is_refused_and_shown_as_text(served: Served, request_line: bytes) -> None:
    assert raw(served, request_line + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    line = served.line(holding=" 400 ")
    assert line[:-1].isprintable(), line
    assert served.ask("POST", "/heartbeat", BEAT)[0].status == 200


def test_a_client_that_hangs_up_leaves_no_traceback(served: Served) -> None:
    assert "hvac-heartbeat migrate" in served.line()  # the last line of its beginning
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", served.port), timeout=10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        client.sendall(b"POST /heartbeat HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        client.close()
    assert served.ask("GET", "/health")[0].status == 200
    # Standard error goes into the same pipe: a traceback would stand before the next request.
    assert " GET /health 200 " in served.line()


@pytest.mark.usefixtures("environment")
def test_a_database_that_is_away_is_said_at_the_start_and_serve_goes_on() -> None:
    away = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_NAME": "hvac", "DB_USER": "w", "DB_PASSWORD": "hush-hush"}
    with serving(os.environ | away) as served:
        said = served.line()
        assert said.startswith("Until the database answers, a heartbeat gets 503: ")
        assert "127.0.0.1:1" in said
        assert "Connection refused" in said
        assert "hush-hush" not in said
        assert served.ask("GET", "/health")[0].status == 503
        line = served.line()
        assert " 503 " in line
        assert "127.0.0.1:1" in line
        assert "Connection refused" in line


def test_a_port_that_is_taken_is_one_line_that_says_what_to_do(served: Served) -> None:
    second = subprocess.run(
        [SCRIPTS / "hvac-heartbeat", "serve", "--port", str(served.port)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "--port" in second.stderr


@pytest.mark.usefixtures("environment")
def test_the_terminal_is_told_why_and_the_client_is_not() -> None:
    nobody = os.environ | {"DB_USER": "nobody_of_that_name", "DB_PASSWORD": "wrong"}
    with serving(nobody) as served:
        assert "Until the database answers" in served.line()
        for method, path in (("POST", "/heartbeat"), ("GET", "/health")):
            response, answer = served.ask(method, path, BEAT if method == "POST" else None)
            assert response.status == 503
            assert "DB_USER" not in json.dumps(answer)
            assert re.search(r" 503 [\d.]+ ms: the .* check DB_USER", served.line())


@pytest.mark.slow
def test_the_running_handler_keeps_to_the_openapi_document(
    served: Served, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """Schemathesis makes some hundreds of requests from the document, right and wrong ones, and reads the answers."""
    schema.migrate(connection)
    connection.execute(_HISTORY)
    run = subprocess.run(
        [
            *(SCRIPTS / "schemathesis", "--config-file", Path(__file__).with_name("schemathesis.toml")),
            *("run", ROOT / "docs" / "openapi.yaml"),
            *("--url", f"http://127.0.0.1:{served.port}", "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "25", "--seed", "1", "--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.triggers.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5_000:]
    generated = re.search(r"(\d+) generated", run.stdout)
    assert generated, run.stdout[-5_000:]
    assert int(generated[1]) > 200
