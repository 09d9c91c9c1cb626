"""The law of the ledger: it holds the gaps of more than 120 seconds of every device, in whatever order heartbeats came.

Each example is a device with a history of its own, in a run of several that share events. All is made up from SEED;
`LEDGER_LAW_SEED=n` tries others.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.ingest import ingest
from hvac_heartbeat.outcome import Verdict
from hvac_heartbeat.reading import Record
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database
from hvac_heartbeat.store.device_state import DeviceState
from hvac_heartbeat.writing import Writer
from tests.database.invocation import wait_until
from tests.database.ledger_law import oracle
from tests.database.ledger_law.histories import Event, Run, make_run, utc_now
from tests.database.ledger_law.schema import LEDGER
from tests.database.servers import backends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import psycopg

    from tests.database.ledger_law.histories import History

SEED = int(os.environ.get("LEDGER_LAW_SEED", "8"))
WRITERS = 4
CONCURRENT_RUNS = 500

pytestmark = pytest.mark.slow


class Sender:
    """A container of the function: a connection and a writer of its own."""

    def __init__(self) -> None:
        self.database = Database(Settings.from_environment(os.environ))
        self._writer = Writer(DeviceState(self.database))

    def send(self, event: Event) -> None:
        """Send an event whose heartbeats must all be taken, and the late ones noted."""
        records = [Record(str(at), event[at : at + 1_000], own_clock=True) for at in range(0, len(event), 1_000)]
        outcome = ingest(records, self._writer, time.monotonic() + 60)
        assert {*outcome.verdicts} <= {Verdict.UPDATED, Verdict.OUTDATED}, outcome.failure
        assert outcome.ledger is None


@pytest.fixture
def senders(environment: dict[str, str]) -> Iterator[list[Sender]]:
    found = [Sender() for _ in range(WRITERS)]
    yield found
    for sender in found:
        sender.database.close()


def begin(connection: psycopg.Connection, runs: Iterable[Run]) -> None:
    """Make the ledger in a database that has the devices which were there before it."""
    before = [(h.device, h.before.site, h.before.seen_at) for run in runs for h in run.histories if h.before]
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY device_state (device_id, site_id, last_seen_ts) FROM STDIN") as copy,
    ):
        for row in before:
            copy.write_row(row)
    connection.execute(LEDGER)


def check(connection: psycopg.Connection, runs: Iterable[Run]) -> int:
    """Hold the ledger against the oracle; return how many silences it has."""
    noted: dict[str, list[tuple[datetime, datetime, str]]] = {}
    rows = connection.execute("SELECT device_id, silent_from, silent_to, site_id FROM silence ORDER BY 1, 2").fetchall()
    for device, *row in rows:
        noted.setdefault(device, []).append(tuple(row))
    first: dict[str, datetime] = dict(
        connection.execute("SELECT device_id, first_seen_ts FROM first_heartbeat").fetchall()
    )
    last: dict[str, datetime] = dict(connection.execute("SELECT device_id, last_seen_ts FROM device_state").fetchall())
    for run in runs:
        for history in run.histories:
            where = f"seed {run.seed}, {history}"
            device, now = history.device, last[history.device]
            _check_silences(history, now, noted.pop(device, []), where)
            evidence = [at for at, _ in oracle.counted(history, now)]
            assert last[device] == max(evidence), where
            assert first.get(device) == (None if history.before else min(evidence)), where
    assert noted == {}
    return len(rows)


def _check_silences(history: History, now: datetime, noted: list[tuple[datetime, datetime, str]], where: str) -> None:
    expected = oracle.silences(history, now)
    assert [row[:2] for row in noted] == [row[:2] for row in expected], where
    for (*_, site), (*_, sites) in zip(noted, expected, strict=True):
        assert site in sites, where


def test_ten_thousand_histories_in_any_order(connection: psycopg.Connection, senders: list[Sender]) -> None:
    """Large runs, whose events are large batches, and small ones down to single heartbeats."""
    began = utc_now()
    sizes = [500] * 24 + [50] * 40 + [1, 2, 3, 4] * 100
    runs = [make_run(SEED * 1_000 + n, size, 2 + n % 9, began) for n, size in enumerate(sizes)]
    assert sum(len(run.histories) for run in runs) >= 10_000
    begin(connection, runs)
    for run in runs:
        for event in run.events:
            senders[0].send(event)
    assert check(connection, runs) > 15_000


def test_four_writers_at_once(connection: psycopg.Connection, senders: list[Sender]) -> None:
    """Each event goes to any of four containers, and all of them write the same few devices."""
    runs = [make_run(SEED * 1_000_000 + n, 1 + n % 12, 16, utc_now()) for n in range(CONCURRENT_RUNS)]
    begin(connection, runs)
    together = threading.Barrier(WRITERS, timeout=60)

    def work(number: int) -> None:
        try:
            for run in runs:
                together.wait()
                for event in run.events[number::WRITERS]:
                    senders[number].send(event)
        except BaseException:
            together.abort()
            raise
        finally:
            senders[number].database.close()  # the server counts deadlocks at a connection's end

    with ThreadPoolExecutor(WRITERS) as pool:
        working = [pool.submit(work, number) for number in range(WRITERS)]
        errors = [done.exception() for done in working]
    assert [error for error in errors if error and not isinstance(error, threading.BrokenBarrierError)] == []
    assert check(connection, runs) > 2_000
    wait_until(lambda: not backends(connection, "datname = current_database()"))
    deadlocks = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks.fetchone() == (0,)
