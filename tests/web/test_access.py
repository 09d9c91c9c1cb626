"""Who may ask `serve`: with a token, without one, and by a browser that another site's page leads here."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Answer
from tests.web.conftest import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Client

TOKEN = "Correct-Horse+Battery&Staple"
EVERYTHING = (("GET", "/fleet"), ("GET", "/health"), ("POST", "/heartbeat"))
PAGE = {"/": lambda _: Answer(b"<p>fleet", "text/html"), "/fleet": lambda _: Answer(b"{}")}


@pytest.fixture
def closed(environment: dict[str, str]) -> Iterator[Client]:
    """A gateway that asks for the token."""
    with listening(PAGE, TOKEN) as client:
        yield client


@pytest.fixture
def local(environment: dict[str, str]) -> Iterator[Client]:
    """A gateway without one."""
    with listening(PAGE) as client:
        yield client


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN]
)
def test_nothing_is_served_without_the_token(closed: Client, authorization: str) -> None:
    beside_the_form = (("GET", "/static/health"), ("POST", "/static/heartbeat"), ("POST", "/static/page.css"))
    for method, path in (*EVERYTHING, ("GET", "/nowhere"), *beside_the_form):
        response, body = closed.ask(path, method, authorization=authorization)
        assert (response.status, json.loads(body)) == (401, {"message": "the token is missing or wrong"})
        assert response.getheader("www-authenticate") == 'Bearer realm="hvac-heartbeat"'


def test_who_has_no_token_fills_no_memory(closed: Client) -> None:
    megabytes = "x" * 8_000_000
    tracemalloc.start()
    for path in ("/heartbeat", "/sign-in"):
        sent = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        assert closed.ask(path, "POST", megabytes)[0].status == 401
        assert tracemalloc.get_traced_memory()[1] - sent < 12_000_000, path  # with the client's own copy of it
    tracemalloc.stop()


def test_with_the_token_everything_is_whatever_name_it_is_asked_by(closed: Client) -> None:
    for scheme in ("Bearer", "bearer"):
        for method, path in EVERYTHING:
            beat = '{"device_id": "a", "site_id": "b"}' if method == "POST" else None
            response, _ = closed.ask(
                path, method, beat, authorization=f"{scheme} {TOKEN}", host="heartbeats.example.org"
            )
            assert response.status == 200


def test_a_browser_signs_in_with_a_form_and_stays_so_by_a_cookie(closed: Client) -> None:
    response, form = closed.ask("/", accept="text/html,*/*")
    assert (response.status, response.getheader("content-type")) == (401, "text/html; charset=utf-8")
    assert b'action="/sign-in"' in form
    assert b'type="password"' in form
    response, form = closed.ask("/sign-in", "POST", urlencode({"token": "wrong"}))
    assert (response.status, b"not the token" in form) == (401, True)
    response, _ = closed.ask("/sign-in", "POST", urlencode({"token": TOKEN}))
    assert (response.status, response.getheader("location")) == (303, "/")
    cookie, *attributes = (response.getheader("set-cookie") or "").split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert TOKEN not in cookie
    for other in ("theme=dark", 'of another program={"on": "this host"}'):
        assert closed.ask("/", cookie=f"{other}; {cookie}")[1] == b"<p>fleet"
    assert closed.ask("/", cookie=f"{cookie}0")[0].status == 401
    assert closed.ask("/", cookie="hvac_heartbeat=\xe9; \x01")[0].status == 401
    assert closed.ask("/", authorization=f"Bearer {cookie.partition('=')[2]}")[0].status == 401


def test_a_form_of_any_size_and_any_bytes_is_refused(closed: Client) -> None:
    for form in ("", "token", "token=%FF%00", "&" * 100_000, f"x={'y' * 5_000}&token={TOKEN}"):
        assert closed.ask("/sign-in", "POST", form)[0].status == 401


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1:8790", "127.1.2.3", "[::1]:8790"])
def test_on_this_machine_its_own_names_are_served(local: Client, host: str) -> None:
    assert local.ask("/fleet", host=host)[0].status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8790", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "[", ""],
)
def test_a_name_that_was_made_to_lead_here_is_not(local: Client, host: str) -> None:
    for method, path in EVERYTHING:
        response, body = local.ask(path, method, host=host)
        assert response.status == 403
        assert "not this machine's own name" in json.loads(body)["message"]


def test_a_page_of_another_site_may_not_send_heartbeats(local: Client, closed: Client) -> None:
    beat = '{"device_id": "a", "site_id": "b"}'
    own = f"http://127.0.0.1:{local.port}"
    assert local.ask("/heartbeat", "POST", beat, origin=own)[0].status == 200
    others = ("http://evil.example", "null", f"http://127.0.0.1:{local.port + 1}", "http://[", own + ".evil.example")
    for origin in others:
        assert local.ask("/heartbeat", "POST", beat, origin=origin)[0].status == 403
        sent = {"origin": origin, "authorization": f"Bearer {TOKEN}"}
        assert closed.ask("/heartbeat", "POST", beat, **sent)[0].status == 403
    assert local.ask("/fleet", origin="http://evil.example")[0].status == 200  # which its page cannot read


@pytest.mark.parametrize("token", ["short", "x" * 15, "x" * 513, "with space in the middle", "ümlaut-ümlaut-ümlaut"])
def test_a_token_that_is_no_secret_or_fits_no_header_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_TOKEN takes 16") as said:
        Access(token)
    assert token not in str(said.value)
