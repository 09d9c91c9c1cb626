"""What the triggers answer, as it is to be read in the tests: `==` compares the whole of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any


class _Now:
    """Equals a time no more than ten seconds away, and the text of one as an answer has it for `timestamp`."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.\d{3}Z", other):
            other = datetime.fromisoformat(other)
        return isinstance(other, datetime) and abs(datetime.now(UTC) - other) < timedelta(seconds=10)


class _RetryAfter:
    """Equals the seconds of a Retry-After, which are drawn anew for each answer."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return other in {str(seconds) for seconds in range(5, 16)}


NOW = _Now()
RETRY_AFTER = {"retry-after": _RetryAfter()}


def body(message: str, *updated: str, **more: object) -> dict[str, Any]:
    """Return a body with the three keys that are always there."""
    return {"message": message, "updated_devices": [*updated], "timestamp": NOW, **more}


def accepted(*updated: str, **more: object) -> dict[str, Any]:
    """Return the body of an answer to heartbeats of which some were taken."""
    return body(f"Heartbeat updated for {len(updated)} device(s)", *updated, **more)


def none_accepted(*rejected: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return the body of an answer to heartbeats of which none was taken."""
    return body("No heartbeat could be accepted", rejected=[*rejected], **more)


def complaint(index: int, device_id: str | None, field: str, reason: str) -> dict[str, Any]:
    """Return one entry of `rejected` or `ignored_fields`."""
    return {"index": index, "device_id": device_id, "field": field, "reason": reason}


def not_a_status(index: int, device_id: str) -> dict[str, Any]:
    """Return what there is to say of the heartbeat `ODD`."""
    return complaint(index, device_id, "status", "is not one of ready, degraded, error")


def response(gateway: str, status: int, body: dict[str, Any], **headers: object) -> dict[str, Any]:
    """Return the whole answer to a gateway: the load balancer wants a description, and headers as it sends them."""
    headers = {"content-type": "application/json", "cache-control": "no-store", **headers}
    answer: dict[str, Any] = {"statusCode": status, "body": body, "isBase64Encoded": False}
    if gateway.startswith("load-balancer"):
        answer["statusDescription"] = f"{status} {HTTPStatus(status).phrase}"
    if gateway == "load-balancer-multi-value":
        return answer | {"multiValueHeaders": {header: [value] for header, value in headers.items()}}
    return answer | {"headers": headers}
