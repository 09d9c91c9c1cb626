"""How the command shows things: tables that fit a terminal of 80 columns, answers as readable JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from hvac_heartbeat.local.phrases import duration, per_cent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

# The table's columns under the names that a person reads, so that eleven of them fit side by side.
HEADINGS = {
    "device_id": "device",
    "site_id": "site",
    "status": "status",
    "last_seen_ts": "last seen",
    "age": "silent for",
    "agent_version": "agent",
    "cpu_pct": "CPU %",
    "disk_free_gb": "disk GB",
    "queue_depth": "queue",
    "poll_interval_s": "poll s",
    "last_upload_ts": "last upload",
}
_FOLDED = ("device_id", "site_id", "agent_version", "of", "note")
_NAMES = ("device_id", "site_id")
_NAME_ROOM = 20  # characters that a long name keeps before a column is left out for it
_HALF_A_DAY = timedelta(hours=12)
_ENDLESS = 10_000  # characters: wider than any table
STATUS_STYLES = {"ready": "green", "degraded": "yellow", "error": "red"}


def rows_table(
    rows: Sequence[Mapping[str, Any]], *, always: Collection[str], headings: Mapping[str, str] = HEADINGS
) -> Table:
    """Return a table of rows, without the columns that no row says anything in or that the terminal has no room for.

    Those in `always` stay; the last of the others go first. A name that is too long ends in "…".
    """
    names = [name for name in headings if name in always or any(row.get(name) is not None for row in rows)]
    optional = [name for name in names if name not in always]
    skipped: list[str] = []
    while True:
        shown = {name: headings[name] for name in names if name not in skipped}
        table, least = _table(rows, shown), _table(rows, shown, name_room=_NAME_ROOM)
        wanted = console.measure(least, options=console.options.update(max_width=_ENDLESS)).maximum
        if wanted <= console.width or not optional:
            break
        skipped.insert(0, optional.pop())
    if skipped:
        table.caption = f"No room here for: {', '.join(headings[name] for name in skipped)}"
        table.caption_justify = "left"
    return table


def _table(rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str], *, name_room: int | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, heading in headings.items():
        is_amount = any(isinstance(row.get(name), int | float | timedelta | Decimal) for row in rows)
        justify: Literal["left", "right"] = "right" if is_amount else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=name not in _FOLDED)
        table.columns[-1].max_width = name_room if name in _NAMES else None
    for row in rows:
        table.add_row(*(cell(name, row.get(name)) for name in headings))
    return table


def show(table: Table) -> None:
    """Print a table without the blanks that Rich fills each line with."""
    shown: list[Segment] = []
    for line in console.render_lines(table, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        shown += [*line, Segment.line()]
    console.print(Segments(shown), end="")


def cell(name: str, value: object) -> Text:
    """Phrase one value; what a device sent is shown as text, never as markup."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, datetime):
        return Text(moment(value))
    if isinstance(value, timedelta):
        return Text(duration(value))
    if isinstance(value, Decimal):
        return Text(per_cent(value))
    if isinstance(value, float):
        return Text(f"{value:g}")
    shown = Text(printable(str(value)), style=STATUS_STYLES.get(str(value), "") if name == "status" else "")
    if name in _NAMES:
        shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown


def printable(text: str) -> str:
    """Replace what a terminal would obey, such as escape sequences in what another program wrote."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def moment(value: datetime, *, now: datetime | None = None) -> str:
    """Phrase a time in UTC; the day is left out within half a day of `now`, where only one day can be meant."""
    value, now = value.astimezone(UTC), now or datetime.now(UTC)
    return f"{value:%H:%M:%SZ}" if abs(value - now) < _HALF_A_DAY else f"{value:%Y-%m-%d %H:%M}Z"


def answer_text(answer: object, *, raw: bool = False) -> str:
    """Return an answer as JSON: its body decoded, one key to a line, or `raw`, as Lambda returns it."""
    if raw:
        return json.dumps(answer, ensure_ascii=False)
    if isinstance(answer, dict) and isinstance(answer.get("body"), str):
        body = json.loads(answer["body"]) if answer["body"] else None
        answer = answer | {"body": body}
        lines = [f"  {json.dumps(key)}: {_nested(value)}" for key, value in answer.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    return json.dumps(answer, ensure_ascii=False)


def _nested(value: object) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    lines = [f"    {json.dumps(key)}: {json.dumps(inner, ensure_ascii=False)}" for key, inner in value.items()]
    return "{\n" + ",\n".join(lines) + "\n  }"
