"""Names are whatever a device sends: none becomes markup, breaks a link, or turns what stands beside it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.fleet_page.browser import PHONE

if TYPE_CHECKING:
    from tests.fleet_page.conftest import Shown

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'quoted' \"twice\" `and` more",
    "{{ 7 * 7 }}{% raw %}",
    "a/b",
    "a%2Fb",
    "?a=1&b=2#c;d",
    "+ and  space",
    "..",
    "\\windows\\path",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil\N{POP DIRECTIONAL ISOLATE}",
    "\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER ALEF}\N{ARABIC LETTER BEH}",
    "x" * 256,
    "\N{GRINNING FACE}" * 40,
    "javascript:alert(1)",
]


def test_every_name_is_shown_as_it_is_and_leads_to_its_own_page(shown: Shown, page: Page) -> None:
    shown.beat(*((name, name) for name in NAMES))
    for name in NAMES[::2]:
        shown.silent(name, 10)
    page.set_viewport_size(PHONE)
    page.goto("/")
    links = page.locator(".tiles a")
    assert sorted(links.all_text_contents()) == sorted(NAMES)
    addresses = {link.text_content(): link.get_attribute("href") for link in links.all()}
    for name in NAMES:
        page.goto(addresses[name] or "")
        expect(page.locator("h1")).to_have_text(name, use_inner_text=False)
        page.locator("tbody th a").click()
        page.wait_for_url("**/device?*")
        assert page.locator("h1").text_content() == name
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert " ".join(name.split()) in page.title()


def test_a_name_does_not_turn_what_stands_beside_it(shown: Shown, page: Page) -> None:
    shown.beat(("\N{RIGHT-TO-LEFT OVERRIDE}evil", "north"))
    page.goto("/site?id=north")
    for part in page.locator("main bdi").all():
        assert part.evaluate("element => getComputedStyle(element).unicodeBidi") == "isolate"
    state, name = page.locator("tbody .state").bounding_box(), page.locator("tbody th").bounding_box()
    assert state
    assert name
    assert name["x"] < state["x"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/site?id=nobody", 404),
        ("/device?id=%3Cscript%3E", 404),
        ("/device", 404),
        ("/device?id=%00", 400),
        ("/?after=x", 400),
        ("/?search=a&search=b", 400),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(shown: Shown, path: str, status: int) -> None:
    answer, text = shown.get(path)
    assert answer.status == status
    assert answer.getheader("content-type") == "text/html; charset=utf-8"
    assert "<h1>Not here</h1>" in text
    assert html.escape("<script>") in text or "%3C" not in path


def test_nothing_may_run_or_load_that_is_not_the_servers_own(shown: Shown) -> None:
    for path in ("/", "/static/page.js", "/static/page.css", "/static/icon.svg"):
        answer, text = shown.get(path)
        policy = answer.getheader("content-security-policy") or ""
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace(shown.url, "")
    assert "style=" not in shown.get("/")[1]


def test_a_database_without_the_ledger_is_shown_as_far_as_it_goes(shown: Shown, page: Page) -> None:
    shown.connection.execute("DROP VIEW v_silences CASCADE")
    shown.beat(("ahu-1", "north"))
    shown.silent("ahu-1", 5)
    page.goto("/")
    expect(page.get_by_text("There is no ledger of silence in this database")).to_be_visible()
    expect(page.locator(".tiles .state")).to_have_text("dark")
    page.goto("/device?id=ahu-1")
    expect(page.get_by_text("Nobody knows without the ledger.")).to_be_visible()
    expect(page.locator(".timeline")).to_have_count(0)
