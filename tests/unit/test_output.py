"""How the commands phrase times, whatever time zone the database's session has and however late it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hvac_heartbeat.cli.output import moment

NOW = datetime(2026, 11, 26, 0, 3, tzinfo=UTC)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-8))])
@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(minutes=5), "23:58:00Z"),
        (timedelta(hours=11, minutes=59), "12:04:00Z"),
        (timedelta(hours=12), "2026-11-25 12:03Z"),
        (-timedelta(hours=2), "02:03:00Z"),
        (-timedelta(hours=12), "2026-11-26 12:03Z"),
    ],
)
def test_the_day_is_left_out_within_half_a_day(ago: timedelta, shown: str, zone: timezone) -> None:
    assert moment((NOW - ago).astimezone(zone), now=NOW.astimezone(zone)) == shown
