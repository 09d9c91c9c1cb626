"""A browser signs in where `serve` asks for a token."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from hvac_heartbeat.local.gateway import Gateway
from hvac_heartbeat.local.page import views
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings
from tests.fleet_page.browser import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

TOKEN = "correct horse".replace(" ", "-") + "-battery"


@pytest.fixture
def closed(environment: dict[str, str]) -> Iterator[str]:
    """The URL of a page that asks for the token."""
    model = ReadModel(Settings.from_environment(environment))
    routes = Routes(views.routes(model, refresh_s=0.2))
    with Gateway("127.0.0.1", 0, lambda _: None, routes=routes, access=Access(TOKEN)) as gateway:
        thread = Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield gateway.url
        gateway.shutdown()
        thread.join()
    model.close()


def test_by_keyboard_with_the_token_and_again_when_the_cookie_is_gone(browser: Browser, closed: str) -> None:
    with opened(browser, closed) as (page, wrong):
        page.goto("/")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        for text in (f"{TOKEN}x", TOKEN):
            expect(page.get_by_label("Token")).to_be_focused()
            page.keyboard.type(text)
            page.keyboard.press("Enter")
            if text != TOKEN:
                expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")
        page.context.clear_cookies()
        expect(page.get_by_label("Token")).to_be_visible()  # the page asked again, and was asked
        # Chromium says of each 401 that it was one, and nothing else.
        assert {line for line in wrong if "401 (Unauthorized)" not in line} == set()
