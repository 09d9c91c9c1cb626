"""A message as a person reads it in a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvac_heartbeat.store.telling import Message

_SUBJECT = 100  # ASCII characters (SNS API Reference, Publish)


def subject(message: Message) -> str:
    """Return the subject of a mail: printable ASCII, at most a hundred characters."""
    text = f"{message.kind}: {message.body.get('site_id') or message.body['scope']}"
    return "".join(character if " " <= character <= "~" else "?" for character in text)[:_SUBJECT]


def words(message: Message) -> str:
    """Return the text of a mail: the line, and below it of whom it speaks."""
    body = message.body
    lines = [body["text"]]
    if devices := body.get("device_ids"):
        more = body["told"] - len(devices)
        lines += ["", *devices, *([f"and {more} more"] if more > 0 else [])]
    for site in body.get("largest", ()):
        lines.append(f"- {site['site_id']}: {site.get('told', site['silent'])}")
    lines += ["", f"{message.kind}, judged at {body['at']}", message.dedup_id]
    return "\n".join(lines)
