"""The messages that a sweep writes, and how many of them it may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hvac_heartbeat.local.fleet.incidents import HOUR, MINUTE
from tests.simulated_month import words

OPENED: Final = "Silence Opened"
ENDED: Final = "Silence Ended"
DEAF: Final = "Ingest Deaf"


@dataclass
class Episode:
    """What is told of one silence."""

    device: str
    site: str
    silent_from: int
    opened_at: int
    is_flapping: bool
    closed_at: int | None = None
    returned_at: int | None = None
    told_open: bool = False
    told_flapping: bool = False
    told_closed: bool = False


@dataclass(frozen=True)
class Message:
    """One message: what is compared of it."""

    at: int
    kind: str
    scope: str
    body: dict[str, Any]


@dataclass
class News:
    """What there is to tell of one site."""

    kind: str
    site: str
    episodes: list[Episode]
    waits_since: int
    devices: int
    silent: int

    @property
    def order(self) -> tuple[bool, int, str]:
        """The order in which news is told: openings first, then the larger."""
        return self.kind != OPENED, -len(self.episodes), self.site

    def numbers(self) -> dict[str, Any]:
        """Return what every message says of a site."""
        said: dict[str, Any] = {
            "site_id": self.site,
            "devices": self.devices,
            "silent": self.silent,
            "is_dark": self.silent == self.devices > 0,
            "told": len(self.episodes),
            "silent_from": min(episode.silent_from for episode in self.episodes),
        }
        returns = [episode.returned_at for episode in self.episodes if episode.returned_at is not None]
        return said | ({"returned_at": max(returns)} if returns else {})

    def body(self, now: int) -> dict[str, Any]:
        """Return what a message about this site alone says."""
        episodes = sorted(self.episodes, key=lambda episode: (episode.silent_from, episode.device))
        flapping = [episode.device for episode in episodes if episode.is_flapping]
        named = {"device_ids": [one.device for one in episodes][:20], "flapping": flapping[:20]}
        return self.numbers() | named | {"text": words.of_site(self, now)}

    def mark(self) -> None:
        """Note that it was told."""
        for episode in self.episodes:
            if self.kind == OPENED:
                episode.told_open = True
                episode.told_flapping |= episode.is_flapping
            else:
                episode.told_closed = True


@dataclass
class Outbox:
    """What was written, and what may be written yet."""

    messages: list[Message] = field(default_factory=list)

    def put(self, at: int, kind: str, scope: str, body: dict[str, Any]) -> None:
        """Write a message."""
        self.messages.append(Message(at, kind, scope, body))

    def written_since(self, since: int, *scopes: str) -> int:
        """Count the messages of some scopes that were written after a time."""
        count = 0
        for message in reversed(self.messages):
            if message.at <= since:
                break
            count += message.scope in scopes
        return count

    def may_tell_digest(self, now: int) -> bool:
        """Say whether a digest may be written."""
        return not self.written_since(now - 5 * MINUTE, "digest", "standing")

    def may_tell_standing(self, now: int) -> bool:
        """Say whether what stands may be listed."""
        return self.may_tell_digest(now) and not self.written_since(now - 24 * HOUR, "standing")

    def tell(self, now: int, news: list[News]) -> None:
        """Write as many messages about single sites as there may be, and a digest of the others."""
        news.sort(key=lambda one: one.order)
        budget = max(0, 6 - self.written_since(now - 10 * MINUTE, "site"))
        for one in news[:budget]:
            self.put(now, one.kind, "site", one.body(now))
            one.mark()
        rest = news[budget:]
        if rest and self.may_tell_digest(now):
            kind = min(rest, key=lambda one: (one.waits_since, one.kind != OPENED)).kind
            self._tell_digest(now, [one for one in rest if one.kind == kind])

    def _tell_digest(self, now: int, told: list[News]) -> None:
        body = {
            "sites": len(told),
            "told": sum(len(one.episodes) for one in told),
            "silent_from": min(episode.silent_from for one in told for episode in one.episodes),
            "largest": [one.numbers() for one in told[:100]],
            "text": words.of_sites(told, now),
        }
        self.put(now, told[0].kind, "digest", body)
        for one in told:
            one.mark()
