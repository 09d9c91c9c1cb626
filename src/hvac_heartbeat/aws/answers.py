"""The answer to direct calls and HTTP: `statusCode` and a JSON `body`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.outcome import COMPLAINT_LIMIT, Outcome, Verdict

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


def written(outcome: Outcome, *, status: int | None = None) -> dict[str, Any]:
    """Phrase what became of the heartbeats: 503 where something failed, else the given status, or 200, 207 or 400."""
    complaints: dict[str, Any] = {}
    for key, found in (("rejected", outcome.rejected), ("ignored_fields", outcome.ignored)):
        if found.count:
            complaints[key] = [
                {"index": one.index, "device_id": echo(one.device_id), "field": one.field, "reason": one.reason}
                for one in found.first
            ]
        if found.count > COMPLAINT_LIMIT:
            complaints[f"{key}_count"] = found.count
    room = ANSWER_LIMIT - (_size(complaints) if complaints else 0)
    count, updated = _devices("updated_devices", outcome, Verdict.UPDATED, room)
    outdated: dict[str, Any] = {}
    if count < len(outcome.verdicts) and Verdict.OUTDATED in outcome.verdicts:
        _, outdated = _devices("outdated_devices", outcome, Verdict.OUTDATED, room - _size(updated))
    message = f"Heartbeat updated for {count} device(s)"
    if status is None:
        # Not asked of the lists, which have no room for a device where the complaints are long.
        good = not outcome.rejected.count or {Verdict.UPDATED, Verdict.OUTDATED} & {*outcome.verdicts}
        status = 400 if not good else 207 if outcome.rejected.count else 200
    if outcome.failure is not None:  # what was written all the same may be sent again
        status, message = 503, "The database cannot be reached: send these heartbeats again"
    elif status >= 400:  # noqa: PLR2004 - an HTTP status is best read as a number
        message = "No heartbeat could be accepted"
    return _answer(status, {"message": message} | updated, outdated | complaints)


def health(*, reached: bool) -> dict[str, Any]:
    message = "The database answers" if reached else "The database cannot be reached"
    return _answer(200 if reached else 503, {"message": message, "healthy": reached})


def swept(counts: Mapping[str, int]) -> dict[str, Any]:
    if "skipped" in counts:
        message = "Another sweep is running"
    else:
        message = f"{counts['stale_devices']} of {counts['fleet_devices']} device(s) are stale"
    return _answer(200, {"message": message, **counts})


def refused(refusal: EventRefused) -> dict[str, Any]:
    return _answer(refusal.status, {"message": str(refusal), "updated_devices": []})


def _answer(status: int, head: dict[str, Any], tail: dict[str, Any] | None = None) -> dict[str, Any]:
    """Put a status and a body into the form that direct callers and API Gateway share."""
    now = datetime.now(UTC).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"
    return {"statusCode": status, "body": _encode({**head, "timestamp": now, **(tail or {})}).decode()}


def _devices(key: str, outcome: Outcome, verdict: Verdict, room: int) -> tuple[int, dict[str, Any]]:
    """Return how many devices ended with a verdict, and under `key` those that there is room for."""
    pairs = zip(outcome.device_ids, outcome.verdicts, strict=True)
    devices = dict.fromkeys([device for device, found in pairs if found is verdict and device is not None])
    cut = [device_id[:ECHO_LIMIT] for device_id in devices]
    shown = len(cut)
    while shown * _LONGEST_ID > max(room, 0) and _size(cut[:shown]) > room:
        shown = shown * 9 // 10
    return len(cut), {key: cut[:shown]} | ({} if shown == len(cut) else {f"{key}_count": len(cut)})


def _size(value: object) -> int:
    """Count the bytes of a part of the body in the answer, where the body is quoted once more."""
    return len(_encode(_encode(value).decode()))
