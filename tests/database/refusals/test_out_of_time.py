"""More refused heartbeats than there is time for: the clean rest is written, and each retry gets further."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat import refused
from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.settings import Settings
from tests.database.refusals.foreign_key_schema import KNOWN_DEVICE, Fleet, rejected, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# Each statement with a stranger in it takes 10 ms, as it would on a small Lambda, and is refused.
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.device_id LIKE 'stranger%' THEN PERFORM pg_sleep(0.01); END IF;
    RETURN new;
END $$;
CREATE TRIGGER "A slow one" AFTER INSERT ON device_state FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.fixture
def slow_fleet(parents: psycopg.Connection, environment: dict[str, str]) -> Iterator[Fleet]:
    # By name it comes before the key's own trigger, so that a batch of strangers sleeps once: it fails at the first.
    parents.execute(SLOW)
    fleet = Fleet(Settings.from_environment(environment))
    yield fleet
    fleet.database.close()


def test_the_clean_rest_is_written_and_a_retry_gets_further_than_the_last_try(
    slow_fleet: Fleet, parents: psycopg.Connection
) -> None:
    strangers = [f"stranger{n:03}" for n in range(200)]
    good = [f"d{n}" for n in range(1, 51)]
    event = [*strangers[:100], *good, *strangers[100:]]
    tries = 0
    known: set[str] = set()
    failed = set(event)
    while failed:
        tries += 1
        result = slow_fleet.write(*event, seconds=0.5)
        assert set(rejected(result).values()) <= {KNOWN_DEVICE}
        now_known = set(rejected(result)) | stored(parents)
        assert known < now_known, "a retry got no further than the last try"
        known, failed = now_known, result.failed
    assert known == {*good, *strangers}
    assert stored(parents) == set(good)
    assert tries > 1


def test_good_devices_beside_known_strangers_are_written_at_once(
    slow_fleet: Fleet, parents: psycopg.Connection
) -> None:
    strangers = [f"stranger{n:03}" for n in range(100)]
    slow_fleet.write(*strangers, seconds=30)
    good = [f"d{n}" for n in range(1, 51)]
    result = slow_fleet.write(*strangers, *good, seconds=0.3)
    assert stored(parents) == set(good)
    assert not result.failed  # those that there was no time for were refused a moment ago
    assert set(rejected(result)) == set(strangers)


def test_a_refusal_of_long_ago_rejects_nobody_untried(slow_fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = [f"stranger{n:03}" for n in range(100)]
    slow_fleet.write(*strangers, seconds=30)
    monkeypatch.setattr(refused, "_REFUSAL_LASTS_S", 0.0)  # as if that time had passed
    result = slow_fleet.write(*strangers, seconds=0.3)
    assert result.failed
    assert result.failed.isdisjoint(rejected(result))
    assert result.failure is not None


def test_no_time_at_all_fails_everything(slow_fleet: Fleet) -> None:
    heartbeats = [Heartbeat("d1", "north", datetime.now(UTC)), Heartbeat("d2", "north", datetime.now(UTC))]
    result = slow_fleet.writer.write(heartbeats, time.monotonic() - 1)
    assert result.failed == {"d1", "d2"}
