"""What the HTTP triggers share: the routes, the body, the caller and the answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from hvac_heartbeat.aws import answers
from hvac_heartbeat.aws.decoding import Malformed, decode, decode_base64
from hvac_heartbeat.aws.identity import bind
from hvac_heartbeat.aws.triggers.base import Trigger
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.records import RECORD_LIMIT, Record

if TYPE_CHECKING:
    from datetime import datetime

    from hvac_heartbeat.errors import StoreUnavailable
    from hvac_heartbeat.outcome import Outcome
    from hvac_heartbeat.settings import Settings

BODY_LIMIT = 6 * 1024 * 1024  # bytes; Lambda's own limit of a synchronous payload (Lambda quotas)
_JSON = {"content-type": "application/json", "cache-control": "no-store"}
_RETRY = {"retry-after": "5"}


class Http(Trigger):
    """A request with heartbeats in its body, or a look at the function's health."""

    limit = RECORD_LIMIT
    asks_for_health = False

    @abstractmethod
    def method(self) -> object:
        """Return the request's method."""

    @abstractmethod
    def path(self) -> object:
        """Return the request's path, with or without a stage before it."""

    @abstractmethod
    def received_at(self) -> datetime | None:
        """Return when the request arrived, None where the envelope does not say."""

    @abstractmethod
    def caller(self) -> dict[str, Any]:
        """Return what is known of an authenticated caller, under `jwt`, `iam`, `lambda` and `clientCert`."""

    def check(self) -> None:
        """Find the route.

        Raises:
            EventRefused: 404 for another path, 405 for another method.
        """
        path = self.path()
        if not isinstance(path, str) or not path.endswith(("/heartbeat", "/", "/health")):
            raise EventRefused(404, "There is nothing here: POST heartbeats to /heartbeat, or GET /health")
        self.asks_for_health = path.endswith("/health")
        allowed = "GET" if self.asks_for_health else "POST"
        if self.method() != allowed:
            raise EventRefused(405, f"Only {allowed} is taken here", headers={"allow": allowed})

    def records(self, settings: Settings) -> list[Record]:
        """Return the body as one record; `received_at` in it never counts.

        Raises:
            EventRefused: 401 when a configured claim is absent, 413 over 6 MB.
        """
        binding = bind(self.caller(), settings)
        try:
            body = decode(self._content())
        except Malformed as malformed:
            return [Record("body", undecodable=str(malformed))]
        return [Record("body", body, self.received_at(), binding=binding)]

    def answer(self, outcome: Outcome) -> object:
        """Return the outcome as an HTTP response; 503 with Retry-After when anything in it failed."""
        if outcome.failure is not None:
            return self.respond(answers.unavailable(outcome), _RETRY)
        if outcome.mismatched and len(outcome.verdicts) == 1:
            return self.respond(answers.accepted(outcome, status=403))
        return self.respond(answers.accepted(outcome))

    def refuse(self, refusal: EventRefused) -> object:
        """Return the refusal as an HTTP response."""
        return self.respond(answers.refused(refusal), refusal.headers)

    def health(self, failure: StoreUnavailable | None) -> object:
        """Return 200 when the database was reached, else 503."""
        return self.respond(answers.health(reached=failure is None), {} if failure is None else _RETRY)

    def respond(self, answer: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Put headers to an answer."""
        return {**answer, "headers": _JSON | (headers or {}), "isBase64Encoded": False}

    def _content(self) -> str | bytes:
        content: object = self.event.get("body")
        if self.event.get("isBase64Encoded") is True:
            content = decode_base64(content)
        if not isinstance(content, str | bytes):
            raise Malformed("is empty" if content is None else "is not text")
        # A character takes at most four bytes, so most bodies need no encoding to be measured.
        size = len(content)
        if isinstance(content, str) and size * 4 > BODY_LIMIT:
            size = len(content.encode("utf-8", "surrogatepass"))
        if size > BODY_LIMIT:
            raise EventRefused(413, "The body is over 6 MB: send smaller ones")
        return content
