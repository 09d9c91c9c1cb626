"""The page follows the fleet without being loaded anew, and says when it cannot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
from playwright.sync_api import Page, expect
from psycopg import sql

from tests.fleet_page.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.conftest import Database
    from tests.fleet_page.conftest import Shown


def test_a_device_goes_stale_and_comes_back(shown: Shown, page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("No device has sent a heartbeat yet.")).to_be_visible()
    shown.beat(("ahu-1", "north"))
    tile = page.locator(".tiles li")
    expect(tile.locator(".state")).to_have_text("online")
    expect(page).to_have_title("No site is dark · HVAC fleet")

    shown.silent("ahu-1", 5)
    expect(tile.locator(".state")).to_have_text("dark")
    expect(tile.locator(".age")).to_have_text(re.compile(r"^5 min"))
    expect(page).to_have_title("1 site dark · HVAC fleet")
    expect(page.locator("#news")).to_have_text("1 site dark · HVAC fleet")

    shown.beat(("ahu-1", "north"))
    expect(tile.locator(".state")).to_have_text("online")
    page.get_by_role("link", name="north").click()
    page.get_by_role("link", name="ahu-1").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    shown.silent("ahu-1", 3)
    expect(page.locator("main > header .state")).to_have_text("silent")


def test_what_a_person_is_doing_goes_on_while_the_page_changes(shown: Shown, page: Page) -> None:
    shown.beat(*((f"ahu-{number}", f"site-{number:02}") for number in range(30)))
    page.set_viewport_size({"width": 500, "height": 400})
    page.goto("/")
    search = page.get_by_role("searchbox", name="Site")
    search.press_sequentially("site-0")
    expect(page.locator(".tiles li")).to_have_count(10)
    expect(page.locator("#news")).to_have_text("10 sites are shown")
    assert page.url.endswith("/?search=site-0")

    link = page.get_by_role("link", name="site-07")
    link.focus()
    page.evaluate("scrollTo(0, 300); document.querySelector('h1').mine = 'yes'")
    shown.silent("ahu-7", 5)
    expect(page.locator(".tiles li a").first).to_have_text("site-07")
    expect(link).to_be_focused()
    assert page.evaluate("[scrollY, document.querySelector('h1').mine]") == [300, "yes"]
    expect(search).to_have_value("site-0")

    shown.connection.execute("DELETE FROM device_state WHERE device_id = 'ahu-7'")
    expect(page.locator(".tiles li")).to_have_count(9)
    expect(page.locator("main")).to_be_focused()
    search.fill("site-08")
    expect(page.locator(".tiles li")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".tiles li a")).to_have_text("site-08")


def test_a_fleet_at_rest_is_sent_once_and_ages_go_on(shown: Shown, page: Page) -> None:
    shown.beat(("ahu-1", "north"))
    shown.silent("ahu-1", 4)
    page.goto("/device?id=ahu-1")
    age = page.locator("main > header .age")
    before = age.inner_text()
    assert before.startswith("4 min")
    page.wait_for_timeout(1_500)
    assert age.inner_text() not in {before, ""}
    statuses = [request.status for request in shown.heard if request.path == "/device?id=ahu-1"]
    assert len(statuses) > 3
    assert statuses.count(200) <= 2, statuses  # a minute may have begun


def test_ages_are_those_of_the_servers_clock(shown: Shown, page: Page) -> None:
    """A phone's clock may be hours wrong."""
    shown.beat(("ahu-1", "north"))
    shown.silent("ahu-1", 20)
    page.clock.install(time="2020-01-01T00:00:00Z")
    page.goto("/device?id=ahu-1")
    expect(page.locator("main > header .age")).to_have_text("20 min")


def test_a_server_that_is_lost_and_back_is_said(browser: Browser, shown: Shown) -> None:
    shown.beat(("ahu-1", "north"))
    shown.silent("ahu-1", 1)
    with opened(browser, shown.url) as (page, _):  # the browser itself complains of each request
        page.goto("/")
        expect(page.locator(".tiles .state")).to_have_text("online")
        said = page.locator("#connection")
        expect(said).to_have_text("", use_inner_text=True)
        page.context.set_offline(True)
        expect(said.get_by_role("status")).to_have_text(re.compile(r"The server has not answered since [\d:]{8} UTC\."))
        expect(page.locator(".tiles .state")).to_have_text("online")
        page.context.set_offline(False)
        expect(said.get_by_role("status")).to_have_text(re.compile(r"Back since [\d:]{8} UTC\."))


def test_a_proxy_that_answers_itself_is_not_taken_for_the_server(browser: Browser, shown: Shown) -> None:
    shown.beat(("ahu-1", "north"))
    with opened(browser, shown.url) as (page, _):
        page.goto("/")
        title, said = page.title(), page.locator("#connection")
        page.route("/", lambda route: route.fulfill(status=429, content_type="text/html", body="<main>Too many</main>"))
        expect(said).to_contain_text("Somebody else has answered for the server since")
        expect(page.locator(".tiles li")).to_have_count(1)
        assert page.title() == title
        page.unroute("/")
        expect(said).to_contain_text("Back since")


def test_a_database_that_is_away_is_said_and_what_was_seen_stays(
    browser: Browser, shown: Shown, database: Database
) -> None:
    shown.beat(("ahu-1", "north"))
    with opened(browser, shown.url) as (page, _):
        page.goto("/")
        expect(page.locator(".tiles li")).to_have_count(1)
        with psycopg.connect(database.server.conninfo, autocommit=True) as admin:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            admin.execute(allow.format(sql.Identifier(database.name), sql.SQL("false")))
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
                [database.name, shown.connection.info.backend_pid],
            )
            try:
                expect(page.locator("#connection")).to_contain_text("The database has not answered since")
                expect(page.locator(".tiles li")).to_have_count(1)
                answer, text = shown.get("/")
                assert (answer.status, answer.getheader("retry-after")) == (503, "5")
                assert "Yes: the database does not answer." in text
                page.reload()
                expect(page.get_by_role("heading", name="Is it us?")).to_be_visible()
            finally:
                admin.execute(allow.format(sql.Identifier(database.name), sql.SQL("true")))
        expect(page.locator(".tiles li")).to_have_count(1)
        expect(page.locator("#connection")).to_contain_text("Back since")
