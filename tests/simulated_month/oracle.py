"""What a sweep must note and tell, written from the rules (docs/operations.md) and not from the SQL."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hvac_heartbeat.local.fleet import Deaf
from hvac_heartbeat.local.fleet.incidents import HOUR, MINUTE
from tests.simulated_month import words
from tests.simulated_month.facts import FLOOR, Device, Facts
from tests.simulated_month.judgement import Judgement, View
from tests.simulated_month.news import DEAF, ENDED, OPENED, Episode, News, Outbox

if TYPE_CHECKING:
    from hvac_heartbeat.local.fleet import Announcement
    from hvac_heartbeat.local.fleet.incidents import Span


@dataclass(frozen=True)
class Swept:
    """What a sweep answers."""

    devices: int
    stale: int
    opened: int
    closed: int
    messages: int
    is_fleet_silent: bool


@dataclass
class Oracle:
    """Sweeps over what is known of the fleet."""

    facts: Facts = field(default_factory=Facts)
    episodes: list[Episode] = field(default_factory=list)
    outbox: Outbox = field(default_factory=Outbox)

    def __post_init__(self) -> None:
        self.judgement = Judgement(self.facts)
        self._open: dict[str, Episode] = {}
        self._past: dict[str, list[Episode]] = defaultdict(list)
        self._untold: list[Episode] = []  # closed, with something left to tell

    def announce(self, what: Announcement) -> None:
        """Take what somebody announces."""
        if isinstance(what, Deaf):
            self.judgement.deaf.append((what.starts, what.ends))
        else:
            self.facts.announce(what)

    def sweep(self, now: int, unreachable: Span | None = None, canary: str | None = None) -> Swept:
        """Do what one sweep does at `now`."""
        judgement = self.judgement
        judgement.turn_to(now)
        self.now = now
        before = len(self.outbox.messages)
        survey = judgement.views()
        is_any_overdue = any(view.is_overdue and view.device.name not in self._open for view in survey)
        has_changed = judgement.note_fleet_silence(survey, unreachable, canary, is_any_overdue=is_any_overdue)
        closed, opened = self._close(), 0
        if not judgement.is_fleet_silent:
            views = judgement.views() if has_changed else survey
            opened = self._open_episodes(views)
            self.outbox.tell(now, self._news(views))
            self._tell_standing()
        stale = sum(view.is_stale for view in survey)
        self._tell_fleet(len(survey), stale)
        messages = len(self.outbox.messages) - before
        return Swept(len(survey), stale, opened, closed, messages, judgement.is_fleet_silent)

    # 4. Close

    def _close(self) -> int:
        closed = 0
        for episode in list(self._open.values()):
            device = self.facts.devices.get(episode.device)
            if device is None:
                episode.closed_at, episode.told_closed = self.now, True
            elif not self._is_over(episode, device):
                continue
            del self._open[episode.device]
            if not episode.told_closed:
                self._untold.append(episode)
            closed += 1
        for episode in self._untold:
            device = self.facts.devices.get(episode.device)
            if device and self.judgement.maintenance.covers(device):
                episode.told_closed = True
        self._untold = [episode for episode in self._untold if not episode.told_closed]
        return closed

    def _is_over(self, episode: Episode, device: Device) -> bool:
        limit = self.facts.stale_after(device)
        if device.last_seen <= episode.silent_from or device.last_seen < self.now - limit:
            return False
        since = episode.silent_from
        counted = [gap.ends for gap in device.gaps() if gap.starts >= since and gap.ends - gap.starts > limit]
        if episode.is_flapping and counted and max(counted) > self.now - 15 * MINUTE:
            return False
        episode.returned_at = max(counted, default=device.last_seen)
        episode.closed_at = self.now
        episode.told_closed = not (episode.told_open or episode.told_flapping)
        return True

    # 5. Open

    def _open_episodes(self, views: list[View]) -> int:
        for view in views:
            episode = self._open.get(view.device.name)
            if episode is None:
                continue
            if episode.is_flapping and view.is_overdue and view.quiet_from < self.now - 15 * MINUTE:
                episode.is_flapping = episode.told_open = False
                episode.silent_from = view.device.last_seen
        candidates = [
            view
            for view in views
            if view.is_stale and view.device.name not in self._open and self._is_known(view.device)
        ]
        due_sites = {view.device.site for view in candidates if view.is_due}
        told = [view for view in candidates if view.device.site in due_sites]
        for view in told:
            past = self._past[view.device.name]
            lately = sum(episode.opened_at > self.now - HOUR for episode in past)
            device = view.device
            episode = Episode(device.name, device.site, device.last_seen, self.now, lately >= 2)
            self._open[device.name] = episode
            past.append(episode)
            self.episodes.append(episode)
        return len(told)

    def _is_known(self, device: Device) -> bool:
        """Say whether three heartbeats are proven: what is no silence has one every two minutes at least."""
        if device.is_old:
            return True
        gaps = device.gaps()
        alive = device.last_seen - device.lives[0].first - sum(gap.ends - gap.starts for gap in gaps)
        return 1 + len(gaps) - (-alive // FLOOR) >= 3

    # 6. Sites

    def _news(self, views: list[View]) -> list[News]:
        by_device = {view.device.name: view for view in views}
        told: dict[tuple[str, str], list[Episode]] = defaultdict(list)
        for episode in self._open.values():
            view = by_device.get(episode.device)
            if view and not episode.told_open and (view.is_stale or episode.is_flapping):
                told[OPENED, episode.site].append(episode)
        for episode in self._untold:
            told[ENDED, episode.site].append(episode)
        sites: dict[str, list[View]] = defaultdict(list)
        for view in views:
            sites[view.device.site].append(view)
        news = []
        for (kind, site), episodes in told.items():
            since = min(episode.opened_at if kind == OPENED else episode.closed_at or 0 for episode in episodes)
            if kind == OPENED or since <= self.now - MINUTE:
                silent = sum(view.is_stale for view in sites[site])
                news.append(News(kind, site, episodes, since, len(sites[site]), silent))
        return news

    # 7. Standing

    def _tell_standing(self) -> None:
        if not self.outbox.may_tell_standing(self.now):
            return
        sites: dict[str, list[Episode]] = defaultdict(list)
        for episode in self._open.values():
            device = self.facts.devices.get(episode.device)
            is_maintained = device is not None and self.judgement.maintenance.covers(device)
            if episode.told_open and episode.opened_at < self.now - 24 * HOUR and not is_maintained:
                sites[episode.site].append(episode)
        if not sites:
            return
        listed = [
            {"site_id": site, "silent": len(found), "silent_from": min(one.silent_from for one in found)}
            for site, found in sorted(sites.items(), key=lambda item: (-len(item[1]), item[0]))
        ]
        body = {
            "sites": len(listed),
            "told": sum(map(len, sites.values())),
            "silent_from": min(episode.silent_from for found in sites.values() for episode in found),
            "largest": listed,
        }
        self.outbox.put(self.now, OPENED, "standing", body | {"text": words.of_standing(body)})

    # 8. Fleet

    def _tell_fleet(self, devices: int, stale: int) -> None:
        for silence in self.judgement.fleet_silences:
            if not silence.told_began and (silence.ended_at or self.now) <= self.now - 10 * MINUTE:
                silence.told_ended = True  # too late for news
        for silence in self.judgement.fleet_silences:
            has_ended = silence.ended_at is not None
            if silence.told_ended or (silence.told_began and not has_ended):
                continue
            if self.outbox.written_since(self.now - 10 * MINUTE, "fleet") >= 2:
                break
            body = {
                "state": "ended" if has_ended else "began",
                "silent_from": silence.silent_from,
                "ended_at": silence.ended_at,
                "evidence": silence.evidence,
                "devices": devices,
                "silent": stale,
            }
            said = {key: value for key, value in body.items() if value is not None}
            self.outbox.put(self.now, DEAF, "fleet", said | {"text": words.of_fleet(said, self.now)})
            silence.told_began, silence.told_ended = True, has_ended
