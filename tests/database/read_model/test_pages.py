"""Pages by key: every row once, whatever comes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from hvac_heartbeat.local.read_model.paging import KeyRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.local.read_model.answers import Device, Page
    from hvac_heartbeat.local.read_model.model import ReadModel
    from tests.database.read_model.conftest import Fleet

T = TypeVar("T")

HOSTILE = ["<script>", "a/b", "a b", "ä\u202e'\"", "100%", "{}", "x" * 256, ", ", "\\", "null"]


def walk(page: Callable[[str | None], Page[T]]) -> list[T]:
    """Return all rows of a list, asked for in pages."""
    found: list[T] = []
    after = None
    while True:
        one = page(after)
        assert one.rows
        found += one.rows
        if one.after is None:
            return found
        after = one.after


def devices(model: ReadModel, site: str, after: str | None) -> Page[Device]:
    found = model.site(site, after, 3)
    assert found
    return found.devices


def test_every_row_is_on_one_page_and_in_the_order_of_the_whole(fleet: Fleet, model: ReadModel) -> None:
    for number, name in enumerate(HOSTILE):
        fleet.beat(name, "north", 50, 40, number % 4)
        fleet.beat(f"{name}!", name, 30, 5 if number % 3 else 1, queue_depth=number % 2 * 3, uploaded=60)
        fleet.beat(f"{name}?", name, 40 if number % 3 else 2)
    whole = model.site("north")
    assert whole
    assert len(model.sites().rows) == 11
    assert walk(lambda after: model.sites(None, after, 2)) == model.sites().rows
    assert len(whole.devices.rows) == 10
    assert walk(lambda after: devices(model, "north", after)) == whole.devices.rows
    assert len(model.silences().rows) > 40
    assert walk(lambda after: model.silences(after=after, limit=4)) == model.silences().rows


def test_rows_that_come_and_go_move_no_other_to_another_page(fleet: Fleet, model: ReadModel) -> None:
    for number in range(6):
        fleet.beat(f"unit-{number}", f"site-{number}", 1)
    first = model.sites(limit=3)
    fleet.beat("unit-7", "site-0a", 1)
    fleet.beat("unit-8", "site-9", 30)  # dark: it stands on the first page now
    fleet.connection.execute("DELETE FROM device_state WHERE device_id = 'unit-2'")  # whose key we hold
    rest = model.sites(after=first.after)
    assert [site.site_id for site in rest.rows] == ["site-3", "site-4", "site-5"]


@pytest.mark.parametrize(
    "after",
    ["", "!", "bm90IGpzb24", "W10", "WyIxIiwiMiJd", "WyJcdTAwMDAiLCJhIl0", "ä", "eyJhIjoxfQ", "WyJcdWQ4MDAiLCJhIl0"],
)
def test_a_key_that_no_page_gave_is_refused_and_the_next_answer_is_good(
    fleet: Fleet, model: ReadModel, after: str
) -> None:
    fleet.beat("a", "north", 30, 1)
    with pytest.raises(KeyRefused):
        model.silences(after=after)
    with pytest.raises(KeyRefused):
        model.sites(after=after)
    assert len(model.silences().rows) == 1
