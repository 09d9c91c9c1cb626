"""What hurts users of heartbeat systems most, each by the name it has in their issue trackers (docs/operations.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.database.telling.conftest import Fleet, site, texts

if TYPE_CHECKING:
    from typing import Any

A = site("building-a", 5)
REST = [device for name in "bcdefghijk" for device in site(name, 5)]
ALL = [*A, *REST]


def test_1_an_alert_storm_after_the_monitor_itself_restarts(fleet: Fleet) -> None:
    """Nothing ran for twenty minutes, and the first sweep sees a fleet that is half back."""
    fleet.live(600, *ALL)
    fleet.wait(1_200)
    fleet.beat(*ALL[::2])
    told = [*fleet.sweep(), *fleet.live(600, *ALL)]
    assert [body["kind"] for body in told] == ["Ingest Deaf"]


def test_2_a_restart_hides_a_real_outage(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.wait(1_200)
    fleet.beat(*REST)
    told = [*fleet.sweep(), *fleet.live(600, *REST)]
    assert texts(told)[1:] == ["building-a: 5 of 5 silent since 02:10 UTC"]


def test_3_one_gateway_down_hundreds_of_alerts(fleet: Fleet) -> None:
    behind_it = site("building-g", 300)
    fleet.live(600, *behind_it, *ALL)
    told = fleet.live(600, *behind_it, *ALL, silent=behind_it[:250])
    assert texts(told) == ["building-g: 250 of 300 silent since 02:10 UTC"]


def test_4_a_late_message_overwrites_a_newer_one(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=A)
    fleet.beat(*A[:2], ago=600)
    assert fleet.live(300, *ALL, silent=A) == []


def test_5_stuck_inactive_while_it_sends(fleet: Fleet) -> None:
    """Nothing is stuck where no flag is stored: the views say so at once, and the next sweep closes the episode."""
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=A)
    fleet.beat(*ALL)
    assert fleet.one("SELECT bool_and(liveness = 'online') FROM v_device_liveness")
    fleet.sweep()
    assert fleet.one("SELECT count(*) FROM episode WHERE closed_at IS NULL") == 0


def test_6_a_false_alive(fleet: Fleet) -> None:
    """Neither a time of grace nor an old heartbeat that comes out of a queue says that a device is back."""
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=A)
    fleet.run("INSERT INTO deaf_interval (starts_at, ends_at) SELECT now() - interval '60 s', now() + interval '60 s'")
    fleet.beat(*A[:2], ago=250)
    told = fleet.live(600, *ALL, silent=A)
    assert "Silence Ended" not in {body["kind"] for body in told}
    assert fleet.one("SELECT count(*) FROM episode WHERE closed_at IS NULL") == 5


def test_7_down_and_up_in_the_same_second(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    assert fleet.live(180, *ALL, silent=A) == []
    assert fleet.live(600, *ALL) == []


def test_7_what_is_back_before_it_could_be_told_is_never_told(fleet: Fleet) -> None:
    many = [site(f"m{number}", 1)[0] for number in range(8)]
    crowd = [*ALL, *(site(f"n{number}", 1)[0] for number in range(80))]  # among which seven sites are not many at once
    fleet.live(600, *many, *crowd)
    first, late = many[:7], many[7]
    fleet.live(60, *many, *crowd, silent=first)
    assert len(fleet.live(180, *many, *crowd, silent=many)) == 7  # six and a digest; the next may come in five minutes
    assert fleet.live(60, *many, *crowd, silent=many) == []
    assert fleet.one("SELECT count(*) FROM episode WHERE device_id = %s", late) == 1
    assert fleet.live(600, *many, *crowd, silent=first) == []


def test_8_what_a_device_says_of_itself_is_not_its_silence(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.run("UPDATE device_state SET status = CASE site_id WHEN 'building-a' THEN 'ready' ELSE 'error' END")
    assert texts(fleet.live(300, *ALL, silent=A)) == ["building-a: 5 of 5 silent since 02:10 UTC"]


def test_9_one_timeout_for_all(fleet: Fleet) -> None:
    fleet.run("INSERT INTO liveness_policy VALUES ('site', 'building-a', '10 min'), ('device', %s, '5 min')", A[0])
    fleet.live(600, *ALL)
    told = fleet.live(1_200, *ALL, silent=A)
    assert [(body["at"][14:16], body["device_ids"]) for body in told] == [("18", A[:1]), ("26", A[1:])]


def test_10_hot_rows_and_growth(fleet: Fleet) -> None:
    """A month of a fleet that is well leaves nothing behind."""
    fleet.live(600, *ALL)
    for _ in range(30):
        fleet.wait(86_340)
        fleet.run("INSERT INTO deaf_interval (starts_at, ends_at) VALUES (now() - interval '23 h', now())")
        fleet.live(60, *ALL)
    assert fleet.rows("SELECT device_id FROM episode") == []
    assert fleet.rows("SELECT opened_at FROM fleet_silence") == []
    assert fleet.rows("SELECT body FROM silence_message") == []


def test_11_an_alert_is_lost_in_a_crash(fleet: Fleet) -> None:
    """Of the sweep: it is written by the next one. Of the delivery: it is leased again."""
    fleet.live(600, *ALL)
    fleet.live(240, *ALL, silent=A, sweeps=False)
    with fleet.connection.transaction(force_rollback=True):
        assert len(fleet.sweep()) == 1
    assert len(fleet.sweep()) == 1
    lease = "SELECT id FROM lease_messages(ARRAY['sns'], 10)"
    [first] = fleet.rows(lease)
    assert fleet.rows(lease) == [], "somebody has it"
    fleet.wait(61)
    assert fleet.rows(lease) == [first]


def test_12_a_new_device_is_not_told_of_before_three_heartbeats(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.beat("building-a/new")
    fleet.wait(100)
    fleet.beat("building-a/new", *ALL)
    assert fleet.live(600, *ALL) == []
    fleet.beat("building-a/new")
    told = fleet.live(600, *ALL)
    assert texts(told) == ["building-a: 1 of 6 silent since 02:21 UTC"]


def test_12_a_retired_device_is_not_told_of(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.run("INSERT INTO maintenance_window (scope, subject, note) VALUES ('device', %s, 'taken out')", A[0])
    assert fleet.live(1_200, *ALL, silent=A[:1]) == []


def test_12_a_device_in_maintenance_is_not_told_of(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.run(
        "INSERT INTO maintenance_window (scope, subject, ends_at) VALUES ('site', 'building-a', now() + interval '1 h')"
    )
    told = fleet.live(3_000, *ALL, silent=A)
    assert [*told, *fleet.live(1_800, *ALL)] == []


def test_13_flapping_swallows_the_recovery(fleet: Fleet) -> None:
    told = flap(fleet, 5)
    assert [text.rpartition(" ")[2] for text in texts(told)] == ["UTC", "UTC", "UTC", "UTC", "flapping"]
    back = fleet.live(1_800, *ALL)
    assert len(back) == 1
    assert back[0]["kind"] == "Silence Ended", "its final state is told"


def test_13_flapping_swallows_the_outage(fleet: Fleet) -> None:
    flap(fleet, 5)
    since = fleet.now
    told = fleet.live(3_600, *ALL, silent=A)
    assert texts(told) == [f"building-a: 5 of 5 silent since {since:%H:%M} UTC"]


def test_14_the_end_of_maintenance_notifies_again(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    assert len(fleet.live(300, *ALL, silent=A)) == 1
    fleet.run(
        "INSERT INTO maintenance_window (scope, subject, ends_at) VALUES ('site', 'building-a', now() + interval '1 h')"
    )
    assert fleet.live(7_200, *ALL, silent=A) == []
    assert [body["kind"] for body in fleet.live(300, *ALL)] == ["Silence Ended"]


def test_14_what_comes_back_in_maintenance_is_not_told(fleet: Fleet) -> None:
    fleet.live(600, *ALL)
    fleet.live(300, *ALL, silent=A)
    fleet.run(
        "INSERT INTO maintenance_window (scope, subject, ends_at) VALUES ('site', 'building-a', now() + interval '1 h')"
    )
    assert fleet.live(7_200, *ALL) == []


def test_15_the_alerts_of_a_site_and_of_its_devices_race(fleet: Fleet) -> None:
    """Devices of a dead site are past their deadlines at different times; they are one message all the same."""
    fleet.live(600, *ALL)
    for device in A:
        fleet.wait(10)
        fleet.beat(device, *REST)
    told: list[dict[str, Any]] = []
    for _ in range(40):
        fleet.wait(10)
        fleet.beat(*REST)
        told += fleet.sweep()
    assert texts(told) == ["building-a: 5 of 5 silent since 02:10 UTC"]


def flap(fleet: Fleet, times: int) -> list[dict[str, Any]]:
    """Let building-a be silent for five minutes and back for five, again and again."""
    told = fleet.live(600, *ALL)
    for _ in range(times):
        told += fleet.live(300, *ALL, silent=A)
        told += fleet.live(300, *ALL)
    return told
