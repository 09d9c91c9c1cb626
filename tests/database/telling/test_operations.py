"""Each query of docs/operations.md runs as it stands, and answers what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.database.telling.conftest import site

if TYPE_CHECKING:
    from tests.database.telling.conftest import Fleet

PAGE = Path(__file__).parents[3].joinpath("docs", "operations.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^\*\*([^*\n]+)\*\*[^\n]*\n```sql\n(.+?)```", PAGE, re.MULTILINE | re.DOTALL))
A = site("building-a", 5)
REST = [device for name in "bcdefgh" for device in site(name, 5)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_query_runs(question: str, fleet: Fleet) -> None:
    fleet.run(QUESTIONS[question])


def test_the_page_was_read() -> None:
    assert len(QUESTIONS) >= 8


def test_who_is_silent_now(fleet: Fleet) -> None:
    fleet.live(600, *A, *REST)
    fleet.live(300, *A, *REST, silent=A)
    [row] = fleet.rows(QUESTIONS["Who is silent now, and since when?"])
    assert (row["site_id"], row["count"]) == ("building-a", 5)


def test_why_a_device_is_not_told_of(fleet: Fleet) -> None:
    fleet.beat("ahu-7")
    [row] = fleet.rows(QUESTIONS["Why was I not told of this device?"])
    assert (row["is_maintained"], row["is_known"], row["is_stale"]) == (False, False, False)
