"""A request as the event that an HTTP API hands to a function.

The form is payload format 2.0 of "Create AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import uuid
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.server import BaseHTTPRequestHandler

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def joined(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name; several of one name are one, with commas between."""
    headers: dict[str, str] = {}
    for name, value in items:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known},{value}"
    return headers


def http_api_event(request: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = request.path.partition("?")
    now = datetime.now(UTC)
    content, encoded = _content(body, headers.get("content-type", ""))
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": headers.get("host", ""),
            "domainPrefix": "local",
            "http": {
                "method": request.command,
                "path": path,
                "protocol": request.request_version,
                "sourceIp": request.client_address[0],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{now:%d/%b/%Y:%H:%M:%S} +0000",
            "timeEpoch": int(now.timestamp() * 1000),
        },
        **({"body": content} if body else {}),
        "isBase64Encoded": encoded,
    }


def _content(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the body as the event holds it: text of a known type as it is, anything else in base64."""
    if content_type.lower().startswith(_TEXT):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b64encode(body).decode(), True
