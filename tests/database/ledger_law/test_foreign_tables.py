"""Tables that are not quite ours: times from the future, which end no silence, infinite ones, and other types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.aws import handler as wiring
from tests.database.invocation import wait_until
from tests.database.ledger_law.schema import LEDGER

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Handler = Callable[[object], Any]

NOW = [datetime.now(UTC).replace(microsecond=0)]


def at(time: float | str) -> datetime | str:
    """Return the time so many minutes from the beginning of the test, or what is no number as it is."""
    return time if isinstance(time, str) else NOW[0] + timedelta(minutes=time)


@pytest.fixture
def send(handler: Handler, connection: psycopg.Connection) -> Callable[[float], None]:
    """Send a heartbeat of the one device at a minute from now."""
    connection.execute(LEDGER)
    NOW[0] = datetime.now(UTC).replace(microsecond=0)  # what lies minutes ahead must do so when the test runs

    def send(minutes: float) -> None:
        body = {"device_id": "d", "site_id": "s", "received_at": str(at(minutes))}
        assert handler(body)["statusCode"] == 200

    return send


def meddle(connection: psycopg.Connection, last_seen: float | str) -> None:
    connection.execute("UPDATE device_state SET last_seen_ts = %s", [at(last_seen)])


def silences(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT silent_from, silent_to, site_id FROM silence ORDER BY 1").fetchall()


def first(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT first_seen_ts FROM first_heartbeat").fetchall()


@pytest.mark.parametrize("times", [[30], [20, 60], [60, 20, 21], [60, "infinity"], ["infinity"]])
def test_a_time_from_the_future_ends_no_silence(
    send: Callable[[float], None], connection: psycopg.Connection, times: list[float | str]
) -> None:
    """Whatever was written, and however often: the silence ends with the heartbeat that heals it."""
    send(-60)
    for time in times:
        meddle(connection, time)
    send(-10)
    assert silences(connection) == [(at(-60), at(-10), "s")]
    send(-40)  # late
    assert silences(connection) == [(at(-60), at(-40), "s"), (at(-40), at(-10), "s")]


@pytest.mark.parametrize("time", [30, "infinity"])
def test_a_time_from_the_future_makes_no_silence_of_a_device_that_was_there(
    send: Callable[[float], None], connection: psycopg.Connection, time: float | str
) -> None:
    send(-60)
    send(-2)
    meddle(connection, time)
    send(-1)
    assert silences(connection) == [(at(-60), at(-2), "s")]


@pytest.mark.parametrize("time", [30, "infinity", "-infinity"])
def test_a_first_time_that_is_none_is_corrected_by_the_first_heartbeat(
    send: Callable[[float], None], connection: psycopg.Connection, time: float | str
) -> None:
    connection.execute("INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('d', 'x', %s)", [at(time)])
    send(-60)
    assert (silences(connection), first(connection)) == ([], [(at(-60),)])
    send(-30)
    send(-70)
    assert silences(connection) == [(at(-70), at(-60), "s"), (at(-60), at(-30), "s")]
    assert first(connection) == [(at(-70),)]


def test_a_time_that_is_taken_away_takes_nothing_from_the_ledger(
    send: Callable[[float], None], connection: psycopg.Connection
) -> None:
    send(-60)
    send(-30)
    meddle(connection, "-infinity")
    send(-10)
    send(-5)
    assert silences(connection) == [(at(-60), at(-30), "s"), (at(-10), at(-5), "s")]
    assert first(connection) == [(at(-60),)]


def test_a_device_that_was_deleted_begins_anew(send: Callable[[float], None], connection: psycopg.Connection) -> None:
    send(-60)
    send(-30)
    connection.execute("DELETE FROM device_state")
    send(-10)
    assert silences(connection) == [(at(-60), at(-30), "s")]
    assert first(connection) == [(at(-10),)]


def test_what_a_deleted_device_had_sent_comes_once_more(
    send: Callable[[float], None], connection: psycopg.Connection
) -> None:
    """As a queue may deliver it: what was known of the time before is known again, and only the new gap is new."""
    for minutes in (-60, -30, -28):
        send(minutes)
    connection.execute("DELETE FROM device_state")
    for minutes in (-10, -30, -60, -70):
        send(minutes)
    assert silences(connection) == [
        (at(-70), at(-60), "s"),
        (at(-60), at(-30), "s"),
        (at(-30), at(-10), "s"),
    ]
    assert first(connection) == [(at(-70),)]


@pytest.mark.parametrize("change", ["DELETE FROM device_state", "UPDATE device_state SET last_seen_ts = '-infinity'"])
def test_a_device_whose_time_went_back_is_silent_once_at_a_time(
    send: Callable[[float], None], connection: psycopg.Connection, change: str
) -> None:
    send(-60)
    send(-30)
    connection.execute(change.encode())
    send(-50)
    send(-10)
    assert silences(connection) == [(at(-60), at(-50), "s"), (at(-50), at(-10), "s")]


def test_a_time_that_another_program_set_back_leaves_one_silence_at_a_time(
    send: Callable[[float], None], connection: psycopg.Connection
) -> None:
    for minutes in (-60, -50, -40):
        send(minutes)
    meddle(connection, -55)
    send(-10)
    assert silences(connection) == [(at(-60), at(-55), "s"), (at(-55), at(-10), "s")]


def test_heartbeats_within_five_minutes_of_the_future_are_evidence(
    send: Callable[[float], None], connection: psycopg.Connection
) -> None:
    """Such a time is not overwritten, so they are outdated."""
    send(-60)
    meddle(connection, 4)
    send(-30)
    assert silences(connection) == [(at(-60), at(-30), "s"), (at(-30), at(4), "s")]


@pytest.mark.parametrize("kind", ["varchar(256)", "char(12)", "citext"])
def test_ids_of_another_type_are_found_in_the_ledger(
    handler: Handler, connection: psycopg.Connection, kind: str
) -> None:
    connection.execute("CREATE EXTENSION citext; DROP VIEW v_devices_stale")
    connection.execute(f"ALTER TABLE device_state ALTER device_id TYPE {kind}")
    connection.execute(LEDGER)
    for minutes in (-60, -10, -40):
        handler({"device_id": "D", "site_id": "s", "received_at": str(at(minutes))})
    assert silences(connection) == [(at(-60), at(-40), "s"), (at(-40), at(-10), "s")]
    assert first(connection) == [(at(-60),)]


def test_ids_of_a_type_from_another_schema_are_found_by_the_table_s_key(
    handler: Handler, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION citext SCHEMA extensions; DROP VIEW v_devices_stale")
    connection.execute("ALTER TABLE device_state ALTER device_id TYPE extensions.citext")
    connection.execute(LEDGER)
    for minutes in (-60, -10):
        handler({"device_id": "d", "site_id": "s", "received_at": str(at(minutes))})
    connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
        " SELECT 'other' || number, 's', now() FROM generate_series(1, 5000) AS number"
    )
    connection.execute("ANALYZE device_state; SELECT pg_stat_reset()")
    handler({"device_id": "d", "site_id": "s", "received_at": str(at(-40))})
    assert silences(connection) == [(at(-60), at(-40), "s"), (at(-40), at(-10), "s")]
    wiring.reset()  # what a session has counted is told when it ends
    found = "SELECT idx_scan > 0, seq_tup_read < 5000 FROM pg_stat_user_tables WHERE relname = 'device_state'"
    wait_until(lambda: connection.execute(found).fetchone() == (True, True))
