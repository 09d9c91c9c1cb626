"""What is stored of a run, asked of the read API of `serve` (docs/openapi.yaml)."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from hvac_heartbeat.local.simulation.agents import Away
from hvac_heartbeat.local.simulation.comparison import Stored, StoredDevice, StoredSilence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hvac_heartbeat.local.simulation.agents import Answer

_ROWS = 1_000  # a page has no more


def read_back(ask: Callable[[str], Answer], sites: Iterable[str], started: float) -> Stored | None:
    """Return the devices of these sites and the silences since then; None where there is no read API.

    Raises:
        Away: when it does not answer.
    """
    status, answer = ask("/sites?limit=1")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:  # as the deployed function answers
        return None
    _check(status, answer)
    devices = {
        row["device_id"]: StoredDevice(site, _epoch(row["last_seen_ts"]) or 0.0)
        for site in sites
        for row in _pages(ask, f"/sites/{quote(site, safe='')}", "devices")
    }
    if not ask("/fleet")[1].get("has_ledger"):
        return Stored(devices, None)
    since = datetime.fromtimestamp(started, UTC).isoformat()
    silences = [
        StoredSilence(row["device_id"], _epoch(row["silent_from"]) or 0.0, _epoch(row["silent_to"]))
        for row in _pages(ask, "/silences", "silences", since=since)
    ]
    return Stored(devices, silences)


def _pages(ask: Callable[[str], Answer], path: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
    after: dict[str, str] = {}
    while True:
        status, answer = ask(f"{path}?{urlencode({'limit': _ROWS} | query | after)}")
        if status == HTTPStatus.NOT_FOUND:  # a site of which no heartbeat is stored
            return
        _check(status, answer)
        yield from answer[key]
        if answer["after"] is None:
            return
        after = {"after": answer["after"]}


def _check(status: int, answer: dict[str, Any]) -> None:
    if status != HTTPStatus.OK:
        raise Away(f"what is stored cannot be read: {status} {answer.get('message', '')}", is_certain=True)


def _epoch(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()
