"""How the commands phrase times, whatever time zone the database's session has."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hvac_heartbeat.cli.output import moment

BERLIN = timezone(timedelta(hours=1))


def test_the_day_is_left_out_where_it_is_the_same_in_utc() -> None:
    before = datetime(2026, 11, 26, 0, 7, tzinfo=BERLIN)
    after = datetime(2026, 11, 26, 0, 55, tzinfo=BERLIN)
    assert moment(after, now=before) == "23:55:00Z"
    assert moment(after + timedelta(minutes=10), now=before) == "2026-11-26 00:05Z"
