"""docs/performance.md says what the benchmarks found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import page, report

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_holds_the_newest_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.fill(text) == text


def test_a_table_is_put_in_its_place_and_the_rest_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"who": "we", "ms": 1234.5}, {"who": "others", "ms": None, "note": "out of sight"}]
    found = {"tables": {"a (b)": rows}, "targets": [], "circumstances": {}}
    tmp_path.joinpath("speed.json").write_text(json.dumps(found))
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    filled = page.fill("before\n<!-- speed: a (b) -->\nold\n<!-- / -->\nafter")
    table = "| who | ms | note |\n|---|--:|---|\n| we | 1,234.5 |  |\n| others |  | out of sight |"
    assert filled == f"before\n<!-- speed: a (b) -->\n{table}\n<!-- / -->\nafter"
    with pytest.raises(KeyError):
        page.fill("<!-- speed: no such table -->\n<!-- / -->")


def test_every_benchmark_that_judges_is_among_the_targets() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for file in report.RESULTS.glob("*.json"):
        for target in json.loads(file.read_text(encoding="utf-8"))["targets"]:
            assert f"| {file.stem} | {target['what']} |" in text
