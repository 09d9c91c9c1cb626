"""A site goes dark, is told of, and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.database.telling.conftest import site

if TYPE_CHECKING:
    from tests.database.telling.conftest import Fleet

REST = [device for name in "bcdef" for device in site(name, 5)]


def test_a_site_of_500_is_one_message_and_one_on_return(fleet: Fleet) -> None:
    building = site("building-a", 500)
    assert fleet.live(600, *building, *REST) == []
    [opened] = fleet.live(600, *building, *REST, silent=building)
    assert opened["text"] == "building-a: 500 of 500 silent since 02:10 UTC"
    assert (opened["kind"], opened["is_dark"], len(opened["device_ids"])) == ("Silence Opened", True, 20)
    [ended] = fleet.live(600, *building, *REST)
    assert ended["text"] == "building-a: 500 of 500 back since 02:20 UTC"
