"""Who may ask: whoever has the token; where there is none, whoever is on this machine and no page of another site."""

from __future__ import annotations

import hashlib
import hmac
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from hvac_heartbeat.channels import is_loopback
from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.local.page.render import render
from hvac_heartbeat.local.web.routes import READING, Answer, Request, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "HEARTBEAT_TOKEN"
SIGN_IN: Final = "/sign-in"
_TOKEN: Final = re.compile(r"[!-~]{16,512}")
# What the form looks like is no secret, and no fleet's own. Whole paths, because the function takes heartbeats on each
# that ends in /heartbeat.
_OPEN: Final = frozenset({"/static/page.css", "/static/icon.svg"})
_COOKIE: Final = "hvac_heartbeat"
_COOKIE_S: Final = 30 * 86_400  # a screen on a wall stays signed in
LONGEST_FORM: Final = 4_096  # bytes: a token, each sign of it percent-encoded, and more
_BEARER: Final = {"www-authenticate": 'Bearer realm="hvac-heartbeat"'}


class Access:
    """Decides about each request; `token` is None where only this machine can ask.

    Raises:
        SettingsError: for a token that is too short to be a secret, or that no header can hold.
    """

    def __init__(self, token: str | None = None) -> None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise SettingsError(f"{VARIABLE} takes 16 to 512 characters of ASCII without spaces")
        self._token = token

    def refusal(self, request: Request, body: bytes) -> Answer | None:
        """Return why a request is not served, or what signs a browser in; None where it may go on."""
        host, origin = request.headers.get("host"), request.headers.get("origin")
        # A name that leads here may be anybody's: a page that came from it would read what is for this machine alone.
        if self._token is None and host is not None and not _is_ours(host):
            said = f"{host[:64]} is not this machine's own name: ask for localhost, or start with {VARIABLE} set"
            return json_answer({"message": said}, HTTPStatus.FORBIDDEN)
        if request.method not in READING and origin not in {None, f"http://{host}", f"https://{host}"}:
            return json_answer({"message": "a page of another site may not send this"}, HTTPStatus.FORBIDDEN)
        if self._token is not None and (request.method, request.path) == ("POST", SIGN_IN):
            return self._sign_in(body)
        is_open = request.method in READING and request.path in _OPEN
        return None if is_open or self.knows(request.headers) else _unknown(request)

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Say whether a request has the token, or a cookie for it; without a token everybody is known."""
        if self._token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(token.strip()):
            return True
        # Not SimpleCookie, which reads none of them where another program on this host has set one that it cannot read.
        cookies = headers.get("cookie", "").split(";")
        ours = f"{_COOKIE}={self._cookie()}".encode()
        return any(hmac.compare_digest(cookie.strip().encode(), ours) for cookie in cookies)

    def _is_token(self, text: str) -> bool:
        return self._token is not None and hmac.compare_digest(text.encode(), self._token.encode())

    def _cookie(self) -> str:
        """Return what the cookie holds: nothing that could be sent as the token."""
        return hmac.new((self._token or "").encode(), b"cookie", hashlib.sha256).hexdigest()

    def _sign_in(self, body: bytes) -> Answer:
        given = parse_qs(body[:LONGEST_FORM].decode(errors="replace")).get("token", [""])[0]
        if not self._is_token(given.strip()):
            return _form(is_wrong=True)
        cookie = f"{_COOKIE}={self._cookie()}; Path=/; Max-Age={_COOKIE_S}; HttpOnly; SameSite=Strict"
        return Answer(b"", "text/plain", HTTPStatus.SEE_OTHER, {"location": "/", "set-cookie": cookie})


def _unknown(request: Request) -> Answer:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return _form()
    return json_answer({"message": "the token is missing or wrong"}, HTTPStatus.UNAUTHORIZED, _BEARER)


def _form(*, is_wrong: bool = False) -> Answer:
    body = render("sign-in.html", is_wrong=is_wrong)
    return Answer(body, "text/html; charset=utf-8", HTTPStatus.UNAUTHORIZED, _BEARER)


def _is_ours(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
