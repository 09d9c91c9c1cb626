"""What a document points to is there: every relative link, and every path below docs/ that a file mentions.

And its tables are whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "src", "tests", "deployment", "benchmarks", "events")
WRITTEN = {".md", ".py", ".sh", ".sql", ".yaml", ".toml", ".json", ".in"}
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]*\w")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TORN_ROW = re.compile(r"(?<!\|)\n(\|.*)\n(?!\|[-|: ]+\|\n)")  # a table's first line, and no line of dashes below it


def files() -> Iterator[Path]:
    beside = (file for file in ROOT.iterdir() if file.is_file() and not file.name.startswith("."))
    inside = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file())
    yield from (file for file in (*beside, *inside) if file.suffix in WRITTEN or file.name == "Makefile")


def anchors(document: Path) -> set[str]:
    """The names of a document's headings, as GitHub makes them."""
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_of_a_document_leads_somewhere() -> None:
    links = [
        (document, *found)
        for document in files()
        if document.suffix == ".md"
        for found in LINK.findall(document.read_text(encoding="utf-8"))
    ]
    assert len(links) > 20
    dead = []
    for document, path, anchor in links:
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{document.relative_to(ROOT)}: {path}#{anchor}")
    assert dead == []


def test_every_document_that_is_mentioned_is_there() -> None:
    mentions = [
        (file, path) for file in files() for path in MENTION.findall(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert len(mentions) > 20
    assert [f"{file.relative_to(ROOT)}: {path}" for file, path in mentions if not is_there(path)] == []


def is_there(path: str) -> bool:
    """Tell whether a path is one of ours; a decision may be named by its number alone."""
    return (ROOT / path).exists() or any(ROOT.glob(f"{path}-*.md"))


def test_every_row_belongs_to_a_table() -> None:
    texts = {file: FENCED.sub("", file.read_text(encoding="utf-8")) for file in files() if file.suffix == ".md"}
    torn = [(str(file.relative_to(ROOT)), row) for file, text in texts.items() for row in TORN_ROW.findall(text)]
    assert torn == []


def test_pictures_are_few_and_small() -> None:
    sizes = {file.name: file.stat().st_size for file in (ROOT / "docs" / "images").iterdir()}
    assert 0 < len(sizes) <= 5
    assert max(sizes.values()) <= 150_000, sizes
