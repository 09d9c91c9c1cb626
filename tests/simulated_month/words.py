"""What a person reads of a message, put together anew from what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulated_month.news import News

ORIGIN = datetime(2026, 10, 6, tzinfo=UTC)


def clock(at: int, now: int) -> str:
    """Write a time, with its day where that is another."""
    time, today = (ORIGIN + timedelta(microseconds=point) for point in (at, now))
    return f"{time:%H:%M} UTC" if time.date() == today.date() else f"{time:%Y-%m-%d %H:%M} UTC"


def count(number: int, thing: str) -> str:
    """Count things."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def of_site(news: News, now: int) -> str:
    """Say what there is to say of a site."""
    said = news.numbers()
    parts = []
    if "returned_at" in said:
        of_all = f" of {news.devices}" if said["told"] <= news.devices else ""
        parts.append(f"{said['told']}{of_all} back since {clock(said['returned_at'], now)}")
        if news.silent:
            parts.append(f"{news.silent} still silent")
    else:
        flapping = sum(episode.is_flapping for episode in news.episodes)
        if flapping < len(news.episodes):
            parts.append(f"{news.silent} of {news.devices} silent since {clock(said['silent_from'], now)}")
        if flapping:
            parts.append(f"{flapping} flapping")
    return f"{news.site}: {', '.join(parts)}"


def of_sites(told: Sequence[News], now: int) -> str:
    """Say how many sites there is something to say of, and of the three largest what."""
    others = [f"and {count(len(told) - 3, 'other')}"] if len(told) > 3 else []
    return f"{count(len(told), 'more site')}: " + "; ".join([*(of_site(one, now) for one in told[:3]), *others])


def of_standing(body: dict[str, Any]) -> str:
    """Say who is silent for over a day."""
    sites = ", ".join(f"{site['site_id']} {site['silent']}" for site in body["largest"][:5])
    return f"{count(body['told'], 'device')} at {count(body['sites'], 'site')} silent for over a day: {sites}"


def of_fleet(body: dict[str, Any], now: int) -> str:
    """Say that many are not heard, or that it is over."""
    since = clock(body["silent_from"], now)
    if body["state"] == "began":
        almost = 10 * body["silent"] >= 9 * body["devices"]
        who = (
            "Almost nobody of the fleet has been heard"
            if almost
            else "Many devices at once have not been heard, or were late,"
        )
        text = f"{who} since {since}: {body['silent']} of {body['devices']} devices are silent; "
        text += "no device is told of while this lasts"
    else:
        over = clock(body["ended_at"], now)
        text = f"Devices are told of again; many at once were not heard, or were late, from {since} to {over}"
    return text + (f" ({body['evidence']})" if "evidence" in body else "")
