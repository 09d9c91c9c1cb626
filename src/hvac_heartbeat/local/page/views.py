"""What a browser asks for: the fleet, a site, a device, and the files that a page brings along."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from msgspec import structs

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.local.page.render import render
from hvac_heartbeat.local.page.timeline import timeline
from hvac_heartbeat.local.read_model.connection import NeverStored
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.read_model.paging import KeyRefused
from hvac_heartbeat.local.web.routes import RETRY_AFTER_S, Answer, BadRequest, NotFound, Request, View

REFRESH_S: Final = 5.0
TILES: Final = 48
ROWS: Final = 15  # of each list on the first page
DEVICES: Final = 100  # of a site, at once
SILENCES: Final = 50  # in a device's table
_LATELY: Final = timedelta(seconds=60)
_STATIC: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HTML: Final = "text/html; charset=utf-8"


def routes(
    model: ReadModel, *, swept_at: Callable[[], datetime | None] | None = None, refresh_s: float = REFRESH_S
) -> dict[str, View]:
    """Return the views of the page, which asks for itself anew every `refresh_s` seconds.

    `swept_at` says when the last sweep was; without it somebody else sweeps.
    """
    pages = Pages(model, swept_at, refresh_s)
    views: dict[str, View] = {"/": pages.fleet, "/site": pages.site, "/device": pages.device}
    shown: dict[str, View] = {path: partial(pages.answer, view) for path, view in views.items()}
    return shown | {f"/static/{name}": partial(_file, name, kind) for name, kind in _STATIC.items()}


class Pages:
    """The views; one that cannot answer is a page, too."""

    def __init__(self, model: ReadModel, swept_at: Callable[[], datetime | None] | None, refresh_s: float) -> None:
        self._model = model
        self._swept_at = swept_at
        self._refresh_s = refresh_s

    def answer(self, view: Callable[[Request], Answer], request: Request) -> Answer:
        """Answer, or say on a page why not."""
        try:
            return view(request)
        except StoreUnavailable as error:
            away = self._page("away.html", HTTPStatus.SERVICE_UNAVAILABLE, why=str(error))
            return structs.replace(away, headers={"retry-after": str(RETRY_AFTER_S)})
        except (BadRequest, KeyRefused) as error:
            return self._page("missing.html", HTTPStatus.BAD_REQUEST, what=str(error))
        except (NotFound, NeverStored) as error:
            return self._page("missing.html", HTTPStatus.NOT_FOUND, what=str(error))

    def fleet(self, request: Request) -> Answer:
        """Answer the five questions."""
        search, after = _text(request, "search").strip(), request.query.get("after")
        shown = self._model.overview(search or None, after, TILES, ROWS)
        newest, swept_at = shown.fleet.newest_heartbeat, self._swept_at and self._swept_at()
        return self._page(
            "fleet.html",
            **structs.asdict(shown),
            is_heard=_is_recent(newest),
            is_sweeping=self._swept_at is not None,
            swept_at=swept_at,
            is_swept=_is_recent(swept_at),
            search=search,
            is_first=after is None,
            worst=self._model.worst_this_month(),
            here=f"http://{request.headers.get('host', '127.0.0.1')}",
        )

    def site(self, request: Request) -> Answer:
        site_id, after = _text(request, "id"), request.query.get("after")
        found = self._model.site(site_id, after, DEVICES)
        if found is None:
            raise NotFound(f"No heartbeat from a site of the name {site_id} is stored.")
        return self._page("site.html", site=found.site, devices=found.devices, is_first=after is None)

    def device(self, request: Request) -> Answer:
        device_id = _text(request, "id")
        found = self._model.device(device_id)
        if found is None:
            raise NotFound(f"No heartbeat of a device of the name {device_id} is stored.")
        return self._page("device.html", device=found, timeline=timeline(found), shown=SILENCES)

    def _page(self, template: str, status: int = HTTPStatus.OK, **values: Any) -> Answer:
        return Answer(render(template, refresh_s=self._refresh_s, **values), _HTML, status)


def _is_recent(time: datetime | None) -> bool:
    """Say whether something was a moment ago: that is all that anybody needs to know, and it changes no answer."""
    return time is not None and datetime.now(UTC) - time < _LATELY


def _text(request: Request, name: str) -> str:
    text = request.query.get(name, "")
    if "\0" in text:  # PostgreSQL has no text with it
        raise BadRequest(name, "holds a NUL character")
    return text


def _file(name: str, kind: str, request: Request) -> Answer:  # noqa: ARG001 - every request gets the same
    return Answer(files(__package__).joinpath("static", name).read_bytes(), f"{kind}; charset=utf-8")
