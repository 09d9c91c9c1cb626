"""What `maintenance` and `deaf` have in common: windows of time that are listed, added and ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import TIMES, Time, note, point_in_time, wrong
from hvac_heartbeat.cli.errors import DatabaseRefused
from hvac_heartbeat.cli.ledger import Ledger, ledger, print_json
from hvac_heartbeat.cli.output import console, moment, rows_table, show
from hvac_heartbeat.cli.phrases import subject, window_times

if TYPE_CHECKING:
    from collections.abc import Sequence

EVER = "-infinity"  # before any time
_DIGITS = 18  # so many always fit a bigint
_TITLES = {"maintenance": "Maintenance", "deaf": "Deaf interval"}
_HEADINGS = {"id": "number", "of": "of", "starts_at": "from", "until": "until", "note": "note"}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) > 0):
        raise typer.BadParameter(f"{text!r} is no number that `list` shows")
    return int(text)


From = Annotated[Time, typer.Option("--from", parser=point_in_time, metavar="TIME", help=f"Now, if not given. {TIMES}")]
Until = Annotated[
    Time,
    typer.Option("--until", parser=point_in_time, metavar="TIME", help="Without it, it goes on until it is ended."),
]
Note = Annotated[str, typer.Option("--note", parser=note, metavar="TEXT", help="Why, for those who read the list.")]
Everything = Annotated[bool, typer.Option("--all", help="Those that are over too.")]
Id = Annotated[int, typer.Argument(parser=_number, metavar="NUMBER", help="The number that `list` shows.")]
At = Annotated[Time, typer.Option("--at", parser=point_in_time, metavar="TIME", help=f"Now, if not given. {TIMES}")]


def show_windows(windows: Sequence[dict[str, Any]], none: str, *, as_json: bool) -> None:
    """Print windows as a table or as JSON, or that there are none."""
    if as_json:
        print_json(list(windows))
    elif not windows:
        console.print(none, soft_wrap=True)
    else:
        rows = [
            row
            | {"of": subject(row["scope"], row["subject"]) if "scope" in row else None, "note": row["note"] or None}
            | {"until": "open" if row["ends_at"] is None else moment(row["ends_at"])}
            for row in windows
        ]
        show(rows_table(rows, always=("id", "starts_at", "until", "note"), headings=_HEADINGS))


def bounds(starts_at: datetime | None, ends_at: datetime | None) -> tuple[datetime, datetime | None]:
    """Return from when to when a window is to last; raises typer.BadParameter where that is no time."""
    starts_at = starts_at or datetime.now(UTC)
    if ends_at is not None and ends_at <= starts_at:
        raise wrong(
            f"{moment(ends_at)} is not after {moment(starts_at)}, when it begins; 2h is two hours ago: write +2h",
            "--until",
        )
    return starts_at, ends_at


def said(kind: str, window: dict[str, Any]) -> str:
    """Say what a window is now."""
    return f"{_TITLES[kind]} {window['id']}: {window_times(window)}."


def end(kind: str, number: int, at: datetime | None) -> None:
    """End one window, or take it away when it has not begun.

    Raises:
        DatabaseRefused: there is none of this number, or it is over and no other end was given.
    """
    with ledger() as found:
        window = found.row(f"one_{kind}", number)
        if not window:
            raise DatabaseRefused(
                f"there is no {_TITLES[kind].lower()} {number}: `hvac-heartbeat {kind} list --all` has the numbers"
            )
        if at is not None and at <= window["starts_at"]:
            raise wrong(f"{moment(at)} is not after {moment(window['starts_at'])}, when it began", "--at")
        done = _end(found, kind, window, at)
    console.print(done, markup=False, soft_wrap=True)


def _end(found: Ledger, kind: str, window: dict[str, Any], at: datetime | None) -> str:
    now = datetime.now(UTC)
    if at is None and window["starts_at"] >= now:
        found.rows(f"remove_{kind}", window["id"])
        return f"{_TITLES[kind]} {window['id']} had not begun; it is removed."
    if at is None and window["ends_at"] is not None and window["ends_at"] <= now:
        raise DatabaseRefused(
            f"{_TITLES[kind].lower()} {window['id']} ended at {moment(window['ends_at'])}; --at gives it another end"
        )
    return said(kind, found.row(f"end_{kind}", window["id"], at or now))
