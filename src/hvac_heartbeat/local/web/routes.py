"""What is asked for, what is answered, and which view answers.

A route is a pattern and a view, a function from a `Request` to an `Answer`. A part of a pattern in braces stands for
exactly one part of a path, percent-decoded, and the view finds it in `request.names`. To add one, put it into a
mapping and give `Routes` all of them:

    def site_page(request: Request) -> Answer:
        return Answer(render(request.names["id"]), "text/html; charset=utf-8")

    Routes(api.routes(model) | {"/page/sites/{id}": site_page})

Views answer GET and HEAD, and several at once, each in a thread of its own. `Routes.answer` adds an ETag, and answers
304 where the client has that body already; the gateway adds the headers that every answer has. A view raises
`BadRequest` or `NotFound`; a StoreUnavailable that it lets through becomes 503.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.local.read_model.connection import NeverStored
from hvac_heartbeat.local.read_model.model import LedgerMissing

RETRY_AFTER_S: Final = 5
READING: Final = frozenset({"GET", "HEAD"})


class Request(msgspec.Struct, frozen=True):
    """A request: path and query as they came, headers by lower-case name, and the names that the pattern holds."""

    method: str
    path: str
    query_text: str = ""
    headers: Mapping[str, str] = {}
    names: Mapping[str, str] = {}

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded. Raises BadRequest: one comes twice, or is not UTF-8."""
        found: dict[str, str] = {}
        try:
            pairs = parse_qsl(self.query_text, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            raise BadRequest("query", "cannot be read: it takes name=value, percent-encoded UTF-8") from None
        for name, value in pairs:
            if name in found:
                raise BadRequest(name, "is there twice")
            found[name] = value
        return found


class Answer(msgspec.Struct, frozen=True):
    """What a view answers: the body, and its type as a header names it."""

    body: bytes
    content_type: str = "application/json"
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = {}


View: TypeAlias = Callable[[Request], Answer]


class BadRequest(HvacHeartbeatError):
    """A parameter cannot be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class NotFound(HvacHeartbeatError):
    """There is nothing of this name."""


def json_answer(value: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a value as a JSON answer."""
    return Answer(msgspec.json.encode(value), status=status, headers=headers or {})


class Routes:
    """Finds the view for a path, and makes of its answer what goes out."""

    def __init__(self, views: Mapping[str, View]) -> None:
        self._views = [(pattern.split("/"), view) for pattern, view in views.items()]

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None where it is the function's: no view has its path, or heartbeats may be sent there."""
        found = self._find(request.path)
        if found is None:
            return None
        if request.method not in READING:
            takes_heartbeats = request.path.endswith(("/", "/heartbeat"))
            if request.method == "POST" and takes_heartbeats:
                return None
            allowed = "GET, HEAD, POST" if takes_heartbeats else "GET, HEAD"
            said = {"message": f"the method has to be one of {allowed}"}
            return json_answer(said, HTTPStatus.METHOD_NOT_ALLOWED, {"allow": allowed})
        view, parts = found
        try:
            names = {name: unquote(part, errors="strict") for name, part in parts.items()}
        except UnicodeDecodeError:
            return json_answer({"message": "the path is not percent-encoded UTF-8"}, HTTPStatus.BAD_REQUEST)
        return _with_etag(request, _seen(view, msgspec.structs.replace(request, names=names)))

    def _find(self, path: str) -> tuple[View, dict[str, str]] | None:
        parts = path.split("/")
        for pattern, view in self._views:
            if len(pattern) == len(parts):
                names = {p[1:-1]: part for p, part in zip(pattern, parts, strict=True) if p.startswith("{")}
                if all(p == part or (p.startswith("{") and part) for p, part in zip(pattern, parts, strict=True)):
                    return view, names
        return None


def _seen(view: View, request: Request) -> Answer:
    """Return what a view answers, or what its refusal means."""
    try:
        return view(request)
    except BadRequest as error:
        return json_answer(
            {"message": str(error), "field": error.field, "reason": error.reason}, HTTPStatus.BAD_REQUEST
        )
    except (NotFound, NeverStored) as error:
        return json_answer({"message": str(error)}, HTTPStatus.NOT_FOUND)
    except (StoreUnavailable, LedgerMissing) as error:
        again = {"retry-after": str(RETRY_AFTER_S)}
        return json_answer({"message": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE, again)


def _with_etag(request: Request, answer: Answer) -> Answer:
    if answer.status != HTTPStatus.OK:
        return answer
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    headers = {**answer.headers, "etag": etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Answer(b"", answer.content_type, HTTPStatus.NOT_MODIFIED, headers)
    return msgspec.structs.replace(answer, headers=headers)
