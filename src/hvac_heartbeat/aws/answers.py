"""The answer to direct calls and HTTP: `statusCode` and a JSON `body`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hvac_heartbeat.outcome import COMPLAINT_LIMIT, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hvac_heartbeat.errors import EventRefused
    from hvac_heartbeat.outcome import Complaints, Outcome

ECHO_LIMIT = 64
ANSWER_LIMIT = 950_000  # bytes, with what the envelope adds still under 1 MB

_LONGEST_ID = 4 * ECHO_LIMIT + 5  # four bytes a character, or a character escaped twice; quotes and a comma

_encode = msgspec.json.Encoder().encode


def echo(value: object, limit: int = ECHO_LIMIT) -> object:
    """Cut a value that came from outside to `limit` characters, and to characters that can be encoded."""
    if value is None or isinstance(value, bool | float):
        return value if value == value else None  # noqa: PLR0124 - NaN is no JSON
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else "(an integer beyond signed 64 bits)"
    if not isinstance(value, str):
        return f"({type(value).__name__})"
    return value[:limit].encode("utf-8", "backslashreplace").decode()[:limit]


def accepted(outcome: Outcome, *, status: int | None = None) -> dict[str, Any]:
    """Phrase an outcome in which nothing failed: 200, 207 or 400, or the given status."""
    body = _body(outcome)
    if status is None:
        status = 200
        if outcome.rejected.count:
            # Not asked of the body, which has no room for a device where the complaints are long.
            status = 207 if {Verdict.UPDATED, Verdict.OUTDATED} & {*outcome.verdicts} else 400
    if status >= 400:  # noqa: PLR2004 - an HTTP status is best read as a number
        body["message"] = "No heartbeat could be accepted"
    return answer(status, body)


def unavailable(outcome: Outcome) -> dict[str, Any]:
    """Phrase an outcome in which something failed: 503; what was written all the same may be sent again."""
    body = _body(outcome)
    body["message"] = "The database cannot be reached: send these heartbeats again"
    return answer(503, body)


def health(*, reached: bool) -> dict[str, Any]:
    """Phrase a look at the function's health: 200 or 503."""
    message = "The database answers" if reached else "The database cannot be reached"
    return answer(200 if reached else 503, {"message": message, "healthy": reached, "timestamp": _now()})


def swept(counts: Mapping[str, int]) -> dict[str, Any]:
    """Phrase what a sweep counted."""
    message = f"{counts['stale_devices']} of {counts['fleet_devices']} device(s) are stale"
    return answer(200, {"message": message, **counts, "timestamp": _now()})


def refused(refusal: EventRefused) -> dict[str, Any]:
    """Phrase an event that was not taken at all."""
    return answer(
        refusal.status,
        {"message": str(refusal), "updated_devices": [], "timestamp": _now()},
    )


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """Put a status and a body into the form that direct callers and API Gateway share."""
    return {"statusCode": status, "body": _encode(body).decode()}


def _body(outcome: Outcome) -> dict[str, Any]:
    updated = outcome.devices(Verdict.UPDATED)
    outdated = outcome.devices(Verdict.OUTDATED)
    complaints: dict[str, Any] = {}
    for key, found in (("rejected", outcome.rejected), ("ignored_fields", outcome.ignored)):
        if found.count:
            complaints |= _complaints(key, found)
    room = ANSWER_LIMIT - (_size(complaints) if complaints else 0)
    body: dict[str, Any] = {
        "message": f"Heartbeat updated for {len(updated)} device(s)",
        **_ids("updated_devices", updated, room),
        "timestamp": _now(),
    }
    if outdated:
        body |= _ids("outdated_devices", outdated, room - _size(body))
    return body | complaints


def _ids(key: str, device_ids: Sequence[str], room: int) -> dict[str, Any]:
    cut = [device_id[:ECHO_LIMIT] for device_id in device_ids]
    if len(cut) * _LONGEST_ID <= room or _size(cut) <= room:
        return {key: cut}
    shown = 0
    while room > 0:
        room -= _size(cut[shown])
        shown += 1
    return {key: cut[: max(shown - 1, 0)], f"{key}_count": len(cut)}


def _size(value: object) -> int:
    """Count the bytes of a part of the body in the answer, where the body is quoted once more."""
    return len(_encode(_encode(value).decode()))


def _complaints(key: str, complaints: Complaints) -> dict[str, Any]:
    entries = [
        {"index": found.index, "device_id": echo(found.device_id), "field": found.field, "reason": found.reason}
        for found in complaints.first
    ]
    counted = {f"{key}_count": complaints.count} if complaints.count > COMPLAINT_LIMIT else {}
    return {key: entries} | counted


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"
