"""The page is for everybody: by keyboard, by screen reader, on a phone, in the dark, without JavaScript."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.fleet_page.browser import PHONE, WINDOW, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.fleet_page.conftest import Shown

WAYS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WINDOW, "color_scheme": "light"},
    "dark": {"viewport": WINDOW, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}
PAGES = ("/", "/?search=nobody", "/site?id=north", "/device?id=ahu-1", "/device?id=gone")

# A tile has the outline in its link's place.
_OUTLINES = """
[document.activeElement, document.activeElement.closest(".tiles li")]
    .map((element) => (element ? getComputedStyle(element).outlineStyle : "none"))
"""


@pytest.fixture
def every_state(shown: Shown) -> Shown:
    """A fleet in which there is one of everything."""
    shown.beat(("ahu-1", "north"), ("ahu-2", "south"), ("ahu-3", "south"), ("ahu-6", "east"), status="error", cpu_pct=7)
    shown.beat(("ahu-4", "south"), queue_depth=9, last_upload_ts="2026-01-01T00:00:00Z")
    shown.beat(("ahu-5", "west"), ("ahu-7", "fine"))
    run = shown.connection.execute
    for device, minutes in (("ahu-1", 300), ("ahu-2", 40), ("ahu-5", 5), ("ahu-6", 4)):
        shown.silent(device, minutes)
    shown.beat(("ahu-1", "north"))
    shown.silent("ahu-1", 20)
    run("INSERT INTO maintenance_window (scope, subject, starts_at, ends_at, note) VALUES"
        " ('site', 'west', now() - interval '1 day', NULL, 'new fans'),"
        " ('device', 'ahu-1', now() - interval '5 days', now() - interval '4 days', '')")  # fmt: skip
    run("INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '4 min', now() - interval '30 s'),"
        " (now() - interval '3 days', now() - interval '2 days')")  # fmt: skip
    return shown


@pytest.mark.parametrize("way", WAYS)
def test_axe_finds_nothing(browser: Browser, every_state: Shown, way: str) -> None:
    with opened(browser, every_state.url, **WAYS[way]) as (page, _):
        for path in PAGES:
            page.goto(path)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= WAYS[way]["viewport"]["width"]


def test_states_are_told_in_words(every_state: Shown, page: Page) -> None:
    page.goto("/")
    states = dict(zip(page.locator(".tiles a").all_text_contents(), page.locator(".tiles .state").all_text_contents(),
                      strict=True))  # fmt: skip
    assert states == {
        "north": "dark",
        "south": "1 of 3 silent",
        "east": "1 of 1 unknown",
        "west": "in maintenance",
        "fine": "online",
    }


def test_the_keyboard_reaches_everything_in_the_order_of_reading(every_state: Shown, page: Page) -> None:
    for path in ("/", "/site?id=south", "/device?id=ahu-1"):
        page.goto(path)
        everything = page.locator("a, button, input").evaluate_all("found => found.map(one => one.outerHTML)")
        reached = []
        for _ in everything:
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.outerHTML"))
            assert page.evaluate(_OUTLINES) != ["none", "none"], reached[-1]
        assert reached == everything
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="south").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="south")).to_be_visible()


def test_a_screen_reader_finds_the_five_questions_in_order(every_state: Shown, page: Page) -> None:
    page.goto("/")
    assert [heading.text_content() for heading in page.get_by_role("heading", level=2).all()] == [
        "Is it us?",
        "Which site is dark?",
        "Which units, since when?",
        "Who is alive but not delivering?",
        "Who is worst this month?",
    ]
    assert page.get_by_role("region").count() == 5
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("row", name="ahu-4 south 9 2026-01-01 00:00 UTC")).to_have_count(1)


def test_the_picture_of_thirty_days_has_a_table_in_words(every_state: Shown, page: Page) -> None:
    page.goto("/device?id=ahu-1")
    kinds = page.locator(".key li").all_text_contents()
    assert kinds == ["silence that counts", "maintenance", "we heard nobody"]
    rows = page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 2
    assert "20 min so far" in rows[0]
    assert rows[1].endswith("4 h 40 min\tyes")
    said = page.get_by_role("region", name="The last 30 days").locator(".answer")
    expect(said).to_contain_text(" observed; 2 silences in it count, the longest 4 h 40 min")
    every_state.connection.execute(
        "UPDATE maintenance_window SET ends_at = now() - interval '19 minutes' WHERE subject = 'ahu-1'"
    )
    page.reload()
    expect(said).to_contain_text(" observed; 1 silence in it counts, the longest")


def test_without_javascript_it_is_whole_but_stands_still(browser: Browser, every_state: Shown) -> None:
    with opened(browser, every_state.url, java_script_enabled=False) as (page, wrong):
        page.goto("/")
        page.get_by_role("searchbox", name="Site").fill("outh")
        page.keyboard.press("Enter")
        expect(page.locator(".tiles a")).to_have_text(["south"])
        page.get_by_role("link", name="south").first.click()
        page.get_by_role("link", name="ahu-2").click()
        expect(page.locator("main > header time")).to_have_text(re.compile(r"\d\d:\d\d UTC"))
        assert wrong == []
