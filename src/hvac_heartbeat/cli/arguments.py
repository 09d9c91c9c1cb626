"""What a person may type for a device, a site, a length of time or a point in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG = "Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong."

_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 36_525 * 86_400  # PostgreSQL makes no error of an interval that overflows
_LENGTH = re.compile(r"(?P<count>\d+(\.\d+)?)\s*(?P<unit>s|min|m|h|d)?")
_LONGEST_NAME = 256  # characters: fields.py
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def seconds(text: str) -> float:
    """Read a length of time such as 300s, 5m, 2h or 1d; raises typer.BadParameter."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no length of time: write 5m, 2h or 1d")
    if found["unit"] is None:
        raise typer.BadParameter(f"{text!r} has no unit: write 5m or 300s")
    length = float(found["count"]) * _UNITS_S[found["unit"]]
    if length > _LONGEST_S:
        raise typer.BadParameter(f"{text!r} is more than a hundred years")
    return length


def point_in_time(text: str) -> datetime:
    """Read an ISO 8601 time, UTC unless it says otherwise, or one counted from now; raises typer.BadParameter.

    `7d` is seven days ago, `+2h` in two hours, and `now` is now.
    """
    word, now = text.strip(), datetime.now(UTC)
    if word.lower() == "now":
        return now
    try:
        if _LENGTH.fullmatch(word.removeprefix("+").lower()) and word[-1:].isalpha():
            length = timedelta(seconds=seconds(word.removeprefix("+")))
            time = now + length if word.startswith("+") else now - length
        else:
            time = datetime.fromisoformat(word)
            time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-10-01, 2026-10-01T06:30 (UTC), 2026-10-01T06:30+02:00, 7d (seven days "
            "ago) or +2h (in two hours)"
        ) from None
    if not _EARLIEST <= time <= _LATEST:
        raise typer.BadParameter(f"{text!r} is before 1970 or after 9000")
    return time


def month(text: str) -> datetime:
    """Read a month such as 2026-10 and return its first moment; raises typer.BadParameter."""
    found = re.fullmatch(r"(?P<year>\d{4})-(?P<month>\d\d)", text.strip())
    if found is None or not 1 <= int(found["month"]) <= 12 or not _EARLIEST.year <= int(found["year"]) < _LATEST.year:  # noqa: PLR2004 - months
        raise typer.BadParameter(f"{text!r} is no month: write 2026-10")
    return datetime(int(found["year"]), int(found["month"]), 1, tzinfo=UTC)


def name(text: str) -> str:
    """Take the id of a device or a site; raises typer.BadParameter for what none can be."""
    if not text.strip():
        raise typer.BadParameter("is empty")
    if len(text) > _LONGEST_NAME:
        raise typer.BadParameter(f"has {len(text)} characters: no id has more than {_LONGEST_NAME}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("is not valid UTF-8") from None
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Return what takes one of these words and no other."""

    def take(text: str) -> str:
        if text not in words:
            raise typer.BadParameter(f"{text!r} is none of them: write {', '.join(words[:-1])} or {words[-1]}")
        return text

    return take


def note(text: str) -> str:
    """Take a remark; raises typer.BadParameter for what no database can keep."""
    return name(text) if text else text


TIMES = "A time without a zone is UTC; 7d is seven days ago, +2h in two hours."
Time = datetime | None
Since = Annotated[Time, typer.Option("--since", parser=point_in_time, metavar="TIME", help=f"From then on. {TIMES}")]
Until = Annotated[Time, typer.Option("--until", parser=point_in_time, metavar="TIME", help="Until then, or now.")]
Site = Annotated[str | None, typer.Option("--site", parser=name, metavar="SITE", help="This site alone.")]
Device = Annotated[str | None, typer.Option("--device", parser=name, metavar="DEVICE", help="This device alone.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="COUNT", help="Show no more than this many; without it, a table has 20."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: times in ISO 8601, lengths in seconds.")]


def scope_of(site: str | None, device: str | None) -> tuple[str, str]:
    """Return what a rule or a window is about, as the ledger has it: its scope and its subject."""
    if site is not None and device is not None:
        raise wrong("give --site or --device, not both", "--device")
    if device is not None:
        return "device", device
    return ("fleet", "") if site is None else ("site", site)


def refuse_future(start: datetime, option: str) -> None:
    """Refuse a period that has not begun; raises typer.BadParameter."""
    if start >= datetime.now(UTC):
        raise wrong(f"{start:%Y-%m-%d %H:%M}Z is still to come", option)


def group(about: str) -> typer.Typer:
    """Return a command that has subcommands and lists them when it is called without one."""
    app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, epilog=EPILOG, help=about)

    @app.callback()
    def _list_subcommands(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(2)

    return app


def wrong(message: str, option: str) -> typer.BadParameter:
    """Return the error for an option whose value does not go with the others."""
    return typer.BadParameter(message, param_hint=f"'{option}'")
