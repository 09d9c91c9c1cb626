"""What the read API answers, as docs/openapi.yaml and docs/api.md describe it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.database.read_model.conftest import Fleet
    from tests.web.conftest import Client

HOSTILE = [
    *("a/b", "a b", "<script>alert(1)</script>", "é\u202e'\"", "100%25", "?x=1#y", "/", "%2F", "..a", "\\", "+"),
    "x" * 256,
]


def test_the_fleet(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 1)
    fleet.beat("b", "south", 30)
    assert client.json("/fleet") == {
        "devices": 2,
        "online": 1,
        "stale": 1,
        "unknown": 0,
        "in_maintenance": 0,
        "not_delivering": 0,
        "sites": 2,
        "dark_sites": 1,
        "newest_heartbeat": fleet.ago(1).isoformat(),
        "has_ledger": True,
        "has_telling": True,
        "deaf_since": None,
        "open_episodes": 0,
        "fleet_silence": None,
        "last_message": None,
    }


def test_sites_in_pages(fleet: Fleet, client: Client) -> None:
    for site, ago in (("calm", 1), ("north", 30), ("south", 40)):
        fleet.beat(f"at {site}", site, ago)
    first = client.json("/sites?limit=2")
    counts = {"devices": 1, "online": 0, "stale": 1, "unknown": 0, "in_maintenance": 0, "not_delivering": 0}
    assert first["sites"] == [
        {"site_id": "south", "is_dark": True, "dark_since": fleet.ago(40).isoformat(), **counts},
        {"site_id": "north", "is_dark": True, "dark_since": fleet.ago(30).isoformat(), **counts},
    ]
    second = client.json(f"/sites?limit=2&after={first['after']}")
    assert ([site["site_id"] for site in second["sites"]], second["after"]) == (["calm"], None)
    assert [site["site_id"] for site in client.json("/sites?search=OUT")["sites"]] == ["south"]


def test_a_site_and_its_devices(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 1, status="ready", queue_depth=0)
    fleet.beat("b", "north", 9)
    found = client.json("/sites/north?limit=1")
    assert (found["site"]["site_id"], found["site"]["devices"]) == ("north", 2)
    assert found["devices"] == [
        {
            "device_id": "b",
            "liveness": "stale",
            "silent_from": fleet.ago(9).isoformat(),
            "last_seen_ts": fleet.ago(9).isoformat(),
            "stale_after_s": 120.0,
            "status": None,
            "delivering": None,
            "in_maintenance": False,
        }
    ]
    (online,) = client.json(f"/sites/north?after={found['after']}")["devices"]
    assert (online["device_id"], online["liveness"], online["delivering"]) == ("a", "online", True)


def test_a_device(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 60, 50, 1, status="degraded")
    found = client.json("/devices/a")
    assert found.pop("availability")["silences"] == 2
    assert found.pop("until") > found.pop("since")
    assert found == {
        "device_id": "a",
        "site_id": "north",
        "liveness": "online",
        "silent_from": None,
        "last_seen_ts": fleet.ago(1).isoformat(),
        "stale_after_s": 120.0,
        "delivering": None,
        "in_maintenance": False,
        "status": "degraded",
        "agent_version": None,
        "cpu_pct": None,
        "disk_free_gb": None,
        "queue_depth": None,
        "poll_interval_s": None,
        "last_upload_ts": None,
        "rule": {"scope": "default", "subject": ""},
        "silences": [
            {
                "device_id": "a",
                "site_id": "north",
                "silent_from": fleet.ago(start).isoformat(),
                "silent_to": fleet.ago(end).isoformat(),
                "length_s": (start - end) * 60.0,
                "counts": True,
            }
            for start, end in ((50, 1), (60, 50))
        ],
        "more_silences": False,
        "maintenance": [],
        "deaf": [],
    }


def test_silences(fleet: Fleet, client: Client) -> None:
    fleet.beat("a", "north", 60, 50, 1)
    fleet.beat("b", "south", 40)
    newest = client.json("/silences?limit=1")
    assert newest["silences"] == [
        {
            "device_id": "b",
            "site_id": "south",
            "silent_from": fleet.ago(40).isoformat(),
            "silent_to": None,
            "length_s": None,
            "counts": True,
        }
    ]
    assert len(client.json(f"/silences?after={newest['after']}")["silences"]) == 2
    assert len(client.json("/silences?open=true")["silences"]) == 1
    assert len(client.json("/silences?site=north&device=a")["silences"]) == 2
    since = quote((fleet.now - timedelta(minutes=55)).isoformat())
    assert len(client.json(f"/silences?device=a&until={since}")["silences"]) == 1


def test_whatever_an_id_holds_leads_to_its_site_and_its_device(fleet: Fleet, client: Client) -> None:
    for name in HOSTILE:
        fleet.beat(name, name, 30)
        path = quote(name, safe="")
        assert client.json(f"/sites/{path}")["devices"][0]["device_id"] == name
        assert client.json(f"/devices/{path}")["site_id"] == name
        assert [row["site_id"] for row in client.json(f"/silences?site={path}&device={path}")["silences"]] == [name]
    assert {site["site_id"] for site in client.json("/sites")["sites"]} == set(HOSTILE)


REFUSED = [
    ("/sites?limit=0", "limit", "is no number from 1 to 1000"),
    ("/sites?limit=1001", "limit", "is no number from 1 to 1000"),
    ("/sites?limit=%D9%A1", "limit", "is no number from 1 to 1000"),
    ("/sites?limit=1&limit=2", "limit", "is there twice"),
    ("/sites?after=eyJ9", "after", "is not what a page of this list gave"),
    ("/sites/north?after=x", "after", "is not what a page of this list gave"),
    ("/sites?search=", "search", "is empty"),
    ("/sites?search=%00", "search", "holds a NUL character"),
    ("/sites?serach=x", "serach", "is no parameter here"),
    ("/sites?search=%FF", "query", "cannot be read: it takes name=value, percent-encoded UTF-8"),
    ("/fleet?x", "x", "is no parameter here"),
    ("/silences?open=yes", "open", "is neither true nor false"),
    ("/silences?since=soon", "since", "is no time: write 2026-10-01T06:30:00Z, and %2B for a plus"),
    (
        "/silences?since=0001-01-01T00:00:00%2B23:00",
        "since",
        "is no time: write 2026-10-01T06:30:00Z, and %2B for a plus",
    ),
    ("/silences?since=2026-10-02&until=2026-10-01", "until", "is before since"),
    ("/devices/%00", "id", "holds a NUL character"),
]


def test_a_parameter_that_cannot_be_used_is_named_with_the_reason(bare: Fleet, client: Client) -> None:
    for path, field, reason in REFUSED:
        assert client.refused(path) == (400, {"message": f"{field} {reason}", "field": field, "reason": reason})


def test_what_is_not_there_is_404_and_what_can_only_be_read_405(fleet: Fleet, client: Client) -> None:
    assert client.refused("/sites/north") == (404, {"message": "no heartbeat from this site is stored"})
    assert client.refused("/devices/a") == (404, {"message": "no heartbeat of this device is stored"})
    assert client.refused("/devices/%FF") == (400, {"message": "the path is not percent-encoded UTF-8"})
    for path in ("/devices/", "/devices/a/b", "/sites/a/b", "/fleet/x", "/nowhere"):
        assert client.ask(path)[0].status == (405 if path.endswith("/") else 404)
    response, body = client.ask("/fleet", "DELETE")
    assert (response.status, response.getheader("allow")) == (405, "GET, HEAD")
    assert json.loads(body) == {"message": "the method has to be one of GET, HEAD"}
    response, body = client.ask("/fleet", "HEAD")
    assert (response.status, body) == (200, b"")


def test_without_the_ledger_the_rest_answers_and_silences_says_what_is_missing(bare: Fleet, client: Client) -> None:
    bare.beat("a", "north", 30)
    assert client.json("/fleet")["has_ledger"] is False
    assert client.json("/sites/north")["devices"][0]["liveness"] == "stale"
    assert client.json("/devices/a")["liveness"] == "stale"
    status, said = client.refused("/silences")
    assert (status, "hvac-heartbeat migrate" in said["message"]) == (503, True)
