"""What silence says of a device: v_device_liveness."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import at

if TYPE_CHECKING:
    from tests.database.ledger.clock import Ledger

LIVENESS = "SELECT device_id, liveness FROM v_device_liveness ORDER BY device_id"


def liveness(ledger: Ledger, time: str) -> str:
    """Return the one device's liveness at a time."""
    ledger.now(at(time))
    (found,) = ledger.one("SELECT liveness FROM v_device_liveness")
    return str(found)


def test_a_device_is_online_for_120_seconds_and_stale_a_microsecond_later(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("08:00"))
    assert liveness(ledger, "08:02") == "online"
    assert liveness(ledger, "08:02:00.000001") == "stale"


def test_a_ledger_whose_start_was_lost_judges_all_the_same(ledger: Ledger) -> None:
    """A schema that was restored without its rows has none."""
    ledger.heartbeat("a", at("08:00"))
    ledger.connection.execute("DELETE FROM ledger_start")
    assert liveness(ledger, "08:02") == "online"
    assert liveness(ledger, "08:03") == "stale"
    assert ledger.one("SELECT silent FROM device_availability(NULL, NULL)") == (timedelta(minutes=3),)


def test_stale_is_what_v_devices_stale_lists(ledger: Ledger) -> None:
    """That view's clock is the server's, so the ages are real ones, and so is this clock for once."""
    ledger.connection.execute("UPDATE clock.time SET now = pg_catalog.now()")
    ledger.connection.execute("BEGIN")
    ledger.connection.execute("UPDATE clock.time SET now = pg_catalog.now()")
    ledger.connection.execute(
        "INSERT INTO device_state (device_id, site_id, last_seen_ts)"
        " SELECT 'd' || n, 'north', pg_catalog.now() - interval '120 seconds' - (n - 5) * interval '1 microsecond'"
        " FROM generate_series(1, 9) AS n"
    )
    listed = ledger.rows("SELECT device_id, last_seen_ts, age FROM v_devices_stale ORDER BY device_id")
    stale = "SELECT device_id, last_seen_ts, age FROM v_device_liveness WHERE liveness = 'stale' ORDER BY device_id"
    assert [device for device, *_ in listed] == ["d6", "d7", "d8", "d9"]
    assert ledger.rows(stale) == listed
    ledger.connection.execute("ROLLBACK")


def test_every_column_says_what_its_name_says(ledger: Ledger) -> None:
    ledger.policy("device", "b", "10 minutes")
    ledger.maintenance("device", "b", at("08:00"))
    ledger.heartbeat("a", at("08:00"), status="ready")
    ledger.heartbeat("b", at("08:01"), site="south", status="error", queue_depth=0)
    ledger.now(at("08:05"))
    two, ten = timedelta(minutes=2), timedelta(minutes=10)
    assert ledger.rows("SELECT * FROM v_device_liveness ORDER BY device_id") == [
        ("a", "north", at("08:00"), timedelta(minutes=5), two, "stale", at("08:00"), "ready", None, False),
        ("b", "south", at("08:01"), timedelta(minutes=4), ten, "online", None, "error", True, True),
    ]


def test_each_device_gets_one_full_grace_after_we_were_deaf(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:59"))
    ledger.deaf(at("10:00"), at("10:30"))
    assert liveness(ledger, "10:01") == "online"
    assert liveness(ledger, "10:01:00.000001") == "unknown"
    assert liveness(ledger, "10:32") == "unknown"
    assert liveness(ledger, "10:32:00.000001") == "stale"
    ledger.heartbeat("a", at("10:33"))
    assert liveness(ledger, "10:33") == "online"


def test_while_we_are_deaf_nobody_turns_stale(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:59"))
    ledger.deaf(at("10:00"))
    assert liveness(ledger, "23:00") == "unknown"


def test_what_was_stale_before_we_were_deaf_stays_stale(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:57:59.999999"))
    ledger.heartbeat("b", at("09:58"))
    ledger.deaf(at("10:00"), at("10:30"))
    for time, of_b in (("10:00", "online"), ("10:15", "unknown"), ("10:31", "unknown"), ("10:33", "stale")):
        ledger.now(at(time))
        assert ledger.rows(LIVENESS) == [("a", "stale"), ("b", of_b)], time


def test_graces_do_not_add_up(ledger: Ledger) -> None:
    """Between two deaf intervals 90 seconds were heard, and 90 more after them: no 120 without a break."""
    ledger.heartbeat("a", at("10:00"))
    ledger.deaf(at("10:01"), at("10:02"))
    ledger.deaf(at("10:03:30"), at("10:04"))
    assert liveness(ledger, "10:05:30") == "unknown"
    assert liveness(ledger, "10:06:01") == "stale"


def test_a_deaf_interval_that_was_added_afterwards_corrects_the_present(ledger: Ledger) -> None:
    ledger.heartbeat("a", at("09:59"))
    assert liveness(ledger, "10:31") == "stale"
    ledger.deaf(at("10:00"), at("10:30"))
    assert liveness(ledger, "10:31") == "unknown"


@pytest.mark.parametrize(
    ("last_seen", "expected"),
    [("infinity", "unknown"), ("-infinity", "unknown"), ("08:05:00.000001", "unknown"), ("08:05", "online")],
)
def test_a_time_that_cannot_be_is_unknown_and_breaks_no_view(ledger: Ledger, last_seen: str, expected: str) -> None:
    """Another program wrote it; up to five minutes ahead may be its clock."""
    ledger.heartbeat("a", at("07:00"))
    time = last_seen if "infinity" in last_seen else str(at(last_seen))
    ledger.connection.execute("UPDATE device_state SET last_seen_ts = %s", [time])
    ledger.deaf(at("07:30"), at("07:31"))
    ledger.heartbeat("b", at("07:59"))
    ledger.now(at("08:00"))
    assert ledger.rows(LIVENESS) == [("a", expected), ("b", "online")]
    assert ledger.one("SELECT devices, online, is_dark FROM v_site_liveness")[::2] == (2, False)
    assert ledger.rows("SELECT * FROM v_silences WHERE device_id = 'b'") == []
    assert [row[0] for row in ledger.rows("SELECT * FROM device_availability(NULL, NULL)")] in (["a", "b"], ["b", "a"])
    assert ledger.one("SELECT devices FROM site_availability(NULL, NULL)") == (2,)
    if "infinity" in last_seen:
        assert ledger.one("SELECT age FROM v_device_liveness WHERE device_id = 'a'") == (None,)


@pytest.mark.parametrize(
    ("queue", "uploaded", "delivering"),
    [
        (0, None, True),
        (0, "07:00", True),
        (5, "08:08", True),  # exactly stale_after ago
        (5, "08:07:59.999999", False),
        (5, None, None),
        (None, "08:08", True),
        (None, "08:07:59.999999", None),
        (None, None, None),
    ],
)
def test_delivering(ledger: Ledger, queue: int | None, uploaded: str | None, *, delivering: bool | None) -> None:
    """Online, with data in its queue and no upload lately: not delivering. Null where it did not say enough."""
    upload = at(uploaded) if uploaded else None
    ledger.heartbeat("a", at("08:09:30"), queue_depth=queue, last_upload_ts=upload)
    ledger.now(at("08:10"))
    for zone in ("UTC", "Asia/Kolkata", "America/New_York"):
        ledger.connection.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        assert ledger.one("SELECT liveness, delivering FROM v_device_liveness") == ("online", delivering)


def test_a_longer_rule_lets_uploads_be_as_much_rarer(ledger: Ledger) -> None:
    ledger.policy("fleet", "", "15 minutes")
    ledger.heartbeat("a", at("08:10"), queue_depth=5, last_upload_ts=at("07:55"))
    ledger.now(at("08:10"))
    assert ledger.one("SELECT delivering FROM v_device_liveness") == (True,)
    ledger.now(at("08:10:01"))
    assert ledger.one("SELECT delivering FROM v_device_liveness") == (False,)


@pytest.mark.parametrize("queue", [0, 7])
def test_of_a_silent_device_nobody_knows_whether_it_delivers(ledger: Ledger, queue: int) -> None:
    ledger.heartbeat("a", at("08:00"), queue_depth=queue, last_upload_ts=at("07:00"))
    ledger.now(at("09:00"))
    assert ledger.one("SELECT liveness, delivering FROM v_device_liveness") == ("stale", None)
    ledger.deaf(at("08:01"))
    assert ledger.one("SELECT liveness, delivering FROM v_device_liveness") == ("unknown", None)


def test_the_session_s_time_zone_has_no_effect_when_clocks_change(ledger: Ledger) -> None:
    """In Berlin 02:30 came twice on 25 October."""
    ledger.policy("fleet", "", "1 hour")
    ledger.heartbeat("a", at("00:30", day=25), queue_depth=1, last_upload_ts=at("00:30", day=25))
    answers = set()
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        ledger.connection.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        for time, expected in (("01:30", ("online", True)), ("01:30:00.000001", ("stale", None))):
            ledger.now(at(time, day=25))
            assert ledger.one("SELECT liveness, delivering FROM v_device_liveness") == expected
        answers.add(ledger.one("SELECT extract(epoch FROM silent_from), age, stale_after FROM v_device_liveness"))
    assert len(answers) == 1
