"""Thirty days as a picture: every block is at its day and its minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import convert
from msgspec.structs import fields

from hvac_heartbeat.local.page.timeline import ROW, timeline
from hvac_heartbeat.local.read_model.answers import DeviceHistory, Silence, Window

UNTIL = datetime(2026, 10, 31, 6, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=30)


def device(*silences: Silence, maintenance: tuple[Window, ...] = (), until: datetime = UNTIL) -> DeviceHistory:
    facts = {"device_id": "ahu", "site_id": "north", "liveness": "online", "in_maintenance": False}
    times = {"since": until - timedelta(days=30), "until": until}
    past = {"silences": list(silences), "maintenance": list(maintenance)}
    needed = dict.fromkeys(field.name for field in fields(DeviceHistory) if field.required)
    return convert(needed | facts | times | past, DeviceHistory)


def silence(start: datetime, end: datetime | None, *, counts: bool = True) -> Silence:
    return Silence("ahu", "north", start, end, None if end is None else end - start, counts)


def test_the_newest_day_is_on_top_and_the_first_and_last_are_parts_of_days() -> None:
    drawn = timeline(device())
    assert [day.day for day in drawn.days] == [*range(31, 0, -1)]
    assert drawn.height == 31 * ROW
    blocks = drawn.paths["days"].split("M")[1:]
    assert len(blocks) == 31
    assert blocks[0] == "360 481h1080v14h-1080z"  # the 1st from six o'clock, in the lowest row
    assert blocks[-1] == "0 1h360v14h-360z"


def test_a_silence_is_cut_at_midnight() -> None:
    start = datetime(2026, 10, 29, 22, 0, tzinfo=UTC)
    drawn = timeline(device(silence(start, start + timedelta(hours=28))))
    assert drawn.paths["counts"] == "M1320 36h120v8h-120zM0 20h1440v8h-1440zM0 4h120v8h-120z"


def test_a_silence_that_lasts_ends_now_and_what_began_earlier_begins_with_the_picture() -> None:
    drawn = timeline(device(silence(SINCE - timedelta(days=3), None, counts=False)))
    assert drawn.paths["excused"].count("M") == 31
    assert drawn.paths["excused"].endswith("M0 4h360v8h-360z")


def test_a_short_one_can_be_seen_and_stays_inside_its_day() -> None:
    last = datetime(2026, 10, 30, 23, 57, tzinfo=UTC)
    drawn = timeline(device(silence(last, last + timedelta(minutes=2, seconds=30))))
    assert drawn.paths["counts"] == "M1434 20h6v8h-6z"


def test_a_day_begins_at_midnight_of_utc_also_when_that_is_now() -> None:
    midnight = datetime(2026, 10, 31, tzinfo=UTC)
    drawn = timeline(device(silence(midnight - timedelta(hours=24), None), until=midnight))
    assert drawn.paths["counts"] == "M0 20h1440v8h-1440z"


def test_only_what_there_is_has_a_path_and_windows_may_reach_beyond() -> None:
    window = Window(SINCE - timedelta(days=400), UNTIL + timedelta(days=400), "", "site")
    assert timeline(device()).paths.keys() == {"days"}
    drawn = timeline(device(maintenance=(window,)))
    assert drawn.paths["maintenance"] == drawn.paths["days"]
    elsewhere = Window(UNTIL + timedelta(days=1), None, "", "site")
    assert "maintenance" not in timeline(device(maintenance=(elsewhere,))).paths
