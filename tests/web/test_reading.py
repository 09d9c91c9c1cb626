"""What every read has in common: ETags, headers, and that no heartbeat waits for it."""

from __future__ import annotations

import http.client
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.web.conftest import listening

if TYPE_CHECKING:
    from tests.database.read_model.conftest import Fleet
    from tests.web.conftest import Client


def test_an_answer_that_the_client_has_is_304_until_it_changes(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 5)
    etags = {}
    for path in ("/fleet", "/sites", "/sites/north", "/silences"):
        response, body = client.ask(path)
        etag = etags[path] = response.getheader("etag") or ""
        for known in (etag, f'"other", W/{etag}', "*"):
            again, nothing = client.ask(path, if_none_match=known)
            assert (again.status, nothing, again.getheader("etag")) == (304, b"", etag)
        assert client.ask(path, if_none_match='"other"')[1] == body
    fleet.beat("a", "north", 0)
    for path, etag in etags.items():
        assert client.ask(path, if_none_match=etag)[0].status == 200


def test_every_answer_has_strict_headers(fleet: Fleet, client: Client) -> None:
    for path in ("/fleet", "/health", "/nowhere", "/sites?limit=0"):
        response, _ = client.ask(path)
        policy = response.getheader("content-security-policy") or ""
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert response.getheader("x-content-type-options") == "nosniff"
        assert response.getheader("referrer-policy") == "same-origin"
    assert client.ask("/fleet")[0].getheader("cache-control") == "no-cache"


def test_a_read_waits_for_no_heartbeat_and_a_heartbeat_for_no_read(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 30)
    sent = []
    beat = '{"device_id": "a", "site_id": "north"}'
    with fleet.connection.transaction():
        fleet.connection.execute("UPDATE device_state SET status = 'ready'")  # holds the row
        sender = Thread(target=lambda: sent.append(client.ask("/heartbeat", "POST", beat)[0].status))
        sender.start()
        while not fleet.connection.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
            pass
        assert client.json("/devices/a")["liveness"] == "stale"
        assert sent == []
    sender.join()
    assert sent == [200]
    with fleet.connection.transaction():
        fleet.connection.execute("LOCK TABLE liveness_policy")  # which is read, and no heartbeat needs
        reader = Thread(target=lambda: sent.append(client.ask("/fleet")[0].status))
        reader.start()
        while not fleet.connection.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
            pass
        assert client.ask("/heartbeat", "POST", beat)[0].status == 200
        assert sent == [200]
    reader.join()
    assert sent == [200, 200]


def test_reads_are_heard_of_as_reads(fleet: Fleet, client: Client) -> None:
    client.ask("/fleet")
    client.ask("/health")
    client.ask("/fleet", "PUT")
    assert [(one.method, one.path, one.status, one.is_read) for one in client.heard] == [
        *(("GET", "/fleet", 200, True), ("GET", "/health", 200, False), ("PUT", "/fleet", 405, True)),
    ]


def test_a_server_that_is_closed_answers_nobody_on_an_open_connection() -> None:
    with listening({}) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
        connection.request("POST", "/nowhere")
        assert connection.getresponse().read()
    connection.request("POST", "/heartbeat", "{}")
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()
