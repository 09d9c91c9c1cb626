"""Whose heartbeats a request may bring: the claims of an authenticated caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvac_heartbeat import fields
from hvac_heartbeat.errors import EventRefused
from hvac_heartbeat.records import Binding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hvac_heartbeat.settings import Settings


def bind(caller: Mapping[str, object], settings: Settings) -> Binding | None:
    """Return what the configured claims say of the caller; None when no claim is configured.

    Raises:
        EventRefused: 401, when a configured claim is absent or cannot be an identity.
    """
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
