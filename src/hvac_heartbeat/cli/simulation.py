"""What `simulate` shows: how far it is, what goes wrong, and at the end what was sent against what is stored."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from hvac_heartbeat.cli.database import opened
from hvac_heartbeat.cli.ledger import Ledger
from hvac_heartbeat.cli.output import console, moment, printable, rows_table, show
from hvac_heartbeat.local.fleet.incidents import SECOND
from hvac_heartbeat.local.fleet.live import SHORTEST
from hvac_heartbeat.local.phrases import duration
from hvac_heartbeat.local.simulation import (
    SLACK_S,
    VERDICTS,
    Account,
    Clock,
    Comparison,
    Stored,
    StoredDevice,
    StoredSilence,
    compare,
)
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hvac_heartbeat.local.fleet import Incident, LiveFleet

_COUNTS: Final = {name: name for name in ("sent", *VERDICTS)}
_COMPARED: Final = {"what": "", "sent": "by what was sent", "stored": "of these stored"}
_SHOWN: Final = 10  # differences, and devices by name
_RATE_S: Final = 10.0  # over which the rate is measured
_LINE_S: Final = 30.0  # between two plain lines
_HINT: Final = (
    "To compare this with the table and the ledger, set the variables of its database before the run, as `serve` "
    "prints them: export DB_HOST=… DB_PORT=… DB_NAME=… DB_USER=…"
)


def say(text: str) -> None:
    _print(console, text)


class Onlooker:
    """Tells a person what happens: beside a progress bar on a terminal, else in lines that a file can keep."""

    def __init__(self, fleet: LiveFleet, started: float, clock: Clock = time) -> None:
        self._fleet, self._started, self._clock = fleet, started, clock
        self._account = Account()
        self._rates = deque([(0.0, 0)])
        self._next_line = _LINE_S
        # Bound to this very output: the handler's log is led elsewhere while it is called.
        self._console = Console(file=sys.stdout, highlight=False)
        self._progress = Progress(
            BarColumn(bar_width=20), TextColumn("{task.description}"), console=self._console, redirect_stdout=False,
            redirect_stderr=False, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=fleet.length / SECOND)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def introduce(self, where: str, account: Account) -> None:
        """Say what is to come, and where it goes."""
        self._account = account
        fleet, count = self._fleet, len(self._fleet.incidents.devices)
        self._print(
            f"{count} devices at {len(fleet.sites)} sites send one heartbeat a minute each ({count / 60:,.1f} a second)"
        )
        self._print(f"to {where} until {self._at(fleet.length)}; Ctrl-C ends it early.")
        stuck = sum(at < 0 for at in fleet.incidents.stuck.values())
        if stuck:
            self._print(f"From the start {_how_many(stuck)} cannot upload: alive, but not delivering.")
        if fleet.length < SHORTEST:
            self._print(
                "No site goes dark in less than seven minutes: first it has to be known, and then told of, and back."
            )

    def began(self, incident: Incident) -> None:
        until = "" if incident.ends is None else f" until {self._at(incident.ends)}"
        site, devices = incident.site, _how_many(len(incident.devices))
        self._tell(incident.starts, {
            "site": f"{site} goes dark ({devices}){until}",
            "gateway": f"{site}: a gateway goes silent with {len(incident.devices)} of its "
                       f"{_how_many(len(self._fleet.sites[site]))}{until}",
            "device": f"{incident.devices[0]} dies",
            "uploads": f"{site}: {devices} cannot upload any more: {', '.join(incident.devices)}",
        }[incident.kind])  # fmt: skip

    def ended(self, incident: Incident) -> None:
        what = "comes back" if incident.kind == "site" else "has its gateway back"
        self._tell(incident.ends or 0, f"{incident.site} {what} ({_how_many(len(incident.devices))})")

    def away(self, reason: str) -> None:
        self._tell_now(f"nobody takes the heartbeats ({reason}): agents drop them, and go on")

    def back(self, seconds: float, dropped: int) -> None:
        self._tell_now(f"they are taken again, after {seconds:.0f} s; {dropped} were dropped")

    def refused(self, reason: str) -> None:
        self._tell_now(f"heartbeats are rejected, this one first: {reason}")

    def tick(self) -> None:
        """Show the rate, by what was answered in the last ten seconds."""
        elapsed, sent = self._clock.time() - self._started, self._account.sent
        if elapsed - self._rates[-1][0] > 1:
            self._rates.append((elapsed, sent))
        while len(self._rates) > 1 and elapsed - self._rates[0][0] > _RATE_S:
            self._rates.popleft()
        since, before = self._rates[0]
        failed = self._account.counts["failed"] + self._account.counts["rejected"]
        words = f"{sent:,} sent, {(sent - before) / max(elapsed - since, 1):,.1f} a second, {failed:,} failed"
        if self._progress.disable:
            if elapsed > self._next_line:
                self._next_line += _LINE_S
                self._tell_now(words)
        else:
            left = max(0.0, self._fleet.length / SECOND - elapsed)
            self._progress.update(self._task, completed=elapsed, description=f"{words}, {left:.0f} s left")

    def _at(self, at: int) -> str:
        return moment(datetime.fromtimestamp(self._started + at / SECOND, UTC))

    def _tell(self, at: int, text: str) -> None:
        self._print(f"{self._at(at)} {text}")

    def _tell_now(self, text: str) -> None:
        self._print(f"{moment(datetime.fromtimestamp(self._clock.time(), UTC))} {text}")

    def _print(self, text: str) -> None:
        _print(self._console, text)
        self._console.file.flush()


def show_end(account: Account, started: float, read: Callable[[], Stored | None], *, is_stopped: bool) -> bool:
    """Show what was sent, and what is stored of it; return whether all of it was taken and is there."""
    lasted = duration(timedelta(seconds=time.time() - started))
    say(f"\n{'Stopped early' if is_stopped else 'Done'}: {account.sent:,} heartbeats in {lasted}.")
    counts: dict[str, int] = {name: account.counts[name] for name in VERDICTS}
    show(rows_table([{"sent": account.sent} | counts], always=_COUNTS, headings=_COUNTS))
    is_taken = not (counts["rejected"] or counts["failed"])
    stored = read()
    if stored is None:
        say(_HINT)
        return is_taken
    found = compare(account, stored, started, time.time())
    _show_comparison(found)
    return is_taken and not found.differences


def read_database(account: Account, started: float) -> Stored:
    """Return what the database that DB_* names has of a run."""
    with opened(Settings.from_environment(os.environ)) as connection:
        ledger = Ledger(connection)
        rows = ledger.rows("stored_devices", list(account.trails))
        devices = {row["device_id"]: StoredDevice(row["site_id"], row["last_seen_ts"].timestamp()) for row in rows}
        if not ledger.is_there:
            return Stored(devices, None)
        silences = ledger.rows("silences_since", datetime.fromtimestamp(started - SLACK_S, UTC))
        return Stored(devices, [
            StoredSilence(
                row["device_id"], row["silent_from"].timestamp(), row["silent_to"] and row["silent_to"].timestamp()
            )
            for row in silences
        ])  # fmt: skip


def _show_comparison(found: Comparison) -> None:
    rows = [
        {"what": "devices", "sent": found.devices, "stored": found.devices_found},
        {"what": "silences", "sent": found.silences, "stored": found.silences_found},
    ]
    show(rows_table(rows, always=_COMPARED, headings=_COMPARED))
    if found.uncertain:
        say(
            f"{found.uncertain} silences are not compared: a heartbeat in them got no answer and may have been written."
        )
    for difference in found.differences[:_SHOWN]:
        say(difference)
    if len(found.differences) > _SHOWN:
        say(f"… and {len(found.differences) - _SHOWN} differences more.")
    if not found.differences:
        say("What was sent is what is stored.")


def _print(to: Console, text: str) -> None:
    # What a server or a device says is among it.
    to.print("\n".join(map(printable, text.split("\n"))), markup=False, soft_wrap=True)


def _how_many(devices: int) -> str:
    return f"{devices} device{'' if devices == 1 else 's'}"
