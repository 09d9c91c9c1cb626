"""What the HTTP triggers share: the routes, the body, whose heartbeats it may hold, and the answer."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from random import randint
from typing import TYPE_CHECKING, Any

import msgspec

from hvac_heartbeat import fields
from hvac_heartbeat.aws import answers
from hvac_heartbeat.aws.envelopes import DecodeError, TooLarge, decode, decode_base64, get_object
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.outcome import Outcome
from hvac_heartbeat.reading import Binding, Record
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from hvac_heartbeat.aws.handler import Container

BODY_LIMIT = 6 * 1024 * 1024  # bytes, decompressed; Lambda's own limit of a synchronous payload (Lambda quotas)
_JSON = {"content-type": "application/json", "cache-control": "no-store"}
RETRY_AFTER_S = (5, 15)  # at random, so that those who were turned away in one second do not come back in one
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # with zlib's `wbits` for each (RFC 9110, section 8.4.1)


class Request(msgspec.Struct):
    """What each way in over HTTP says in a form of its own.

    `path` may have a stage before it. `caller` is what is known of an authenticated caller: `jwt`, `iam`, `lambda` and
    `clientCert`.
    """

    method: object
    path: object
    received_at: datetime | None = None
    caller: dict[str, Any] = {}


class Http(Trigger):
    """A request with heartbeats in its body, or a look at the function's health."""

    refuse_too_many = True
    asks_for_health = False
    request: Request

    @abstractmethod
    def read_request(self) -> Request:
        """Return what the envelope says."""

    def handle(self, get_container: Callable[[], Container], deadline: float) -> object:
        self.request = self.read_request()
        path = self.request.path
        if not isinstance(path, str) or not path.endswith(("/heartbeat", "/", "/health")):
            raise EventRefused(404, "There is nothing here: POST heartbeats to /heartbeat, or GET /health")
        self.asks_for_health = path.endswith("/health")
        allowed = "GET" if self.asks_for_health else "POST"
        if self.request.method != allowed:
            raise EventRefused(405, f"Only {allowed} is taken here", headers={"allow": allowed})
        if not self.asks_for_health:
            return super().handle(get_container, deadline)
        self.outcome = Outcome(failure=get_container().health.failure(deadline))
        return self.answer(self.outcome)

    def records(self, settings: Settings) -> list[Record]:
        """Return the body as one record; `received_at` in it never counts."""
        binding = _bind(self.request.caller, settings)
        try:
            body = decode(self._content())
        except TooLarge as error:
            raise EventRefused(413, f"The body {error}: send smaller ones") from error
        except DecodeError as error:
            return [Record("body", undecodable=str(error))]
        return [Record("body", body, self.request.received_at, binding=binding)]

    def answer(self, outcome: Outcome) -> object:
        retry = {} if outcome.failure is None else {"retry-after": str(randint(*RETRY_AFTER_S))}  # noqa: S311 - no secret
        if self.asks_for_health:
            return self.respond(answers.health(reached=outcome.failure is None), retry)
        is_foreign = bool(outcome.mismatched) and len(outcome.verdicts) == 1
        return self.respond(answers.written(outcome, status=403 if is_foreign else None), retry)

    def refuse(self, refusal: EventRefused) -> object:
        return self.respond(answers.refused(refusal), refusal.headers)

    def respond(self, answer: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        return {**answer, "headers": _JSON | (headers or {}), "isBase64Encoded": False}

    def _content(self) -> str | bytes:
        content: object = self.event.get("body")
        if self.event.get("isBase64Encoded") is True:
            # What comes as text was compressed by nobody, or the gateway has decompressed it.
            content = self._decompressed(decode_base64(content))
        if not isinstance(content, str | bytes):
            raise DecodeError("is empty" if content is None else "is not text")
        if sys.getsizeof(content) > 2 * BODY_LIMIT:  # an emoji makes every character of its text take four bytes
            raise TooLarge("takes over 12 MB in memory")
        size = len(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        if size > BODY_LIMIT:
            raise TooLarge("is over 6 MB")
        return content

    def _decompressed(self, content: bytes) -> bytes:
        coding = self._content_encoding()
        if coding in ("", "identity"):
            return content
        if coding not in _CODINGS:
            taken = {"accept-encoding": "gzip, deflate"}
            raise EventRefused(415, "Only gzip and deflate are taken as Content-Encoding", headers=taken)
        import zlib  # few senders compress

        decompressor = zlib.decompressobj(_CODINGS[coding])
        try:
            plain = decompressor.decompress(content, BODY_LIMIT + 1)
        except zlib.error as error:
            raise DecodeError(f"is not {coding}") from error
        if len(plain) > BODY_LIMIT:
            raise TooLarge("is over 6 MB when it is decompressed")
        if not decompressor.eof or decompressor.unused_data:
            raise DecodeError(f"is not one whole {coding} stream")
        return plain

    def _content_encoding(self) -> str:
        for key in ("headers", "multiValueHeaders"):
            for name, value in get_object(self.event, key).items():
                if name.lower() == "content-encoding":
                    found = ",".join(map(str, value)) if isinstance(value, list) else str(value)
                    return found.strip().lower()
        return ""


def _bind(caller: Mapping[str, object], settings: Settings) -> Binding | None:
    """Return what the configured claims say of the caller; None when no claim is configured."""
    if settings.device_claim is None and settings.site_claim is None:
        return None
    return Binding(
        _claimed(caller, settings.device_claim, "device"),
        _claimed(caller, settings.site_claim, "site"),
    )


def _claimed(caller: Mapping[str, object], path: str | None, whose: str) -> str | None:
    if path is None:
        return None
    try:
        return fields.identity(_look_up(caller, path))
    except fields.Unusable as unusable:
        raise EventRefused(401, f"The caller's identity names no {whose}: authenticate as one") from unusable


def _look_up(tree: object, path: str) -> object:
    """Follow a dotted path; a key that holds dots itself (a claim named by a URL) may be its last part."""
    if not isinstance(tree, dict):
        return None
    head, dot, rest = path.partition(".")
    if path in tree or not dot:
        return tree.get(path)
    return _look_up(tree.get(head), rest)
