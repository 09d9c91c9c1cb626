"""The read API: the fleet, its sites, its devices and their silences as JSON (docs/openapi.yaml)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hvac_heartbeat.local.json_form import plain
from hvac_heartbeat.local.read_model.paging import KeyRefused
from hvac_heartbeat.local.web.routes import BadRequest, NotFound, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hvac_heartbeat.local.read_model.model import ReadModel
    from hvac_heartbeat.local.web.routes import Answer, Request, View

ROWS: Final = 100
MOST_ROWS: Final = 1_000


def routes(model: ReadModel) -> dict[str, View]:
    """Return the API's routes."""

    def fleet(request: Request) -> Answer:
        _query(request)
        return json_answer(plain(model.fleet()))

    def sites(request: Request) -> Answer:
        query = _query(request, "search", "after", "limit")
        page = _page(lambda: model.sites(_text(query, "search"), query.get("after") or None, _limit(query)))
        return json_answer({"sites": plain(page.rows), "after": page.after})

    def site(request: Request) -> Answer:
        query = _query(request, "after", "limit")
        found = _page(lambda: model.site(_id(request), query.get("after") or None, _limit(query)))
        if found is None:
            raise NotFound("no heartbeat from this site is stored")
        devices = {"devices": plain(found.devices.rows), "after": found.devices.after}
        return json_answer({"site": plain(found.site), **devices})

    def device(request: Request) -> Answer:
        _query(request)
        found = model.device(_id(request))
        if found is None:
            raise NotFound("no heartbeat of this device is stored")
        return json_answer(plain(found))

    def silences(request: Request) -> Answer:
        query = _query(request, "site", "device", "since", "until", "open", "after", "limit")
        since, until = _time(query, "since"), _time(query, "until")
        if since is not None and until is not None and since > until:
            raise BadRequest("until", "is before since")
        page = _page(
            lambda: model.silences(
                _text(query, "site"),
                _text(query, "device"),
                since=since,
                until=until,
                is_open=_flag(query, "open"),
                after=query.get("after") or None,
                limit=_limit(query),
            )
        )
        return json_answer({"silences": plain(page.rows), "after": page.after})

    return {
        "/fleet": fleet,
        "/sites": sites,
        "/sites/{id}": site,
        "/devices/{id}": device,
        "/silences": silences,
    }


def _query(request: Request, *known: str) -> dict[str, str]:
    query = request.query
    for name in query:
        if name not in known:
            raise BadRequest(name[:64], "is no parameter here")
    return query


def _page(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except KeyRefused as error:
        raise BadRequest("after", "is not what a page of this list gave") from error


def _id(request: Request) -> str:
    text = _text(request.names, "id")
    assert text is not None  # noqa: S101 - the pattern has it
    return text


def _text(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is None:
        return None
    if not text:
        raise BadRequest(name, "is empty")
    if "\0" in text:  # PostgreSQL has no text with it
        raise BadRequest(name, "holds a NUL character")
    return text


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(ROWS))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST_ROWS)) and 1 <= int(text) <= MOST_ROWS):
        raise BadRequest("limit", f"is no number from 1 to {MOST_ROWS}")
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise BadRequest(name, "is neither true nor false")
    return text == "true"


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(name, "is no time: write 2026-10-01T06:30:00Z, and %2B for a plus") from None
