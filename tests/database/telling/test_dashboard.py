"""dashboards/fleet.json: what each panel's query answers on a fleet with silent devices, to who may only read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.database.telling.conftest import START, site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.telling.conftest import Fleet

ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "dashboards" / "fleet.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
GRANTS = re.search(
    r"```sql\n(CREATE ROLE.+?)```", (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8"), re.DOTALL
)
SITE = next(one for one in DASHBOARD["templating"]["list"] if one["name"] == "site")
A, B, C, D = site("building-a", 3), site("building-b", 3), site("building-c", 2), site("o'hara", 2)
NOW = START + timedelta(minutes=15)


def expanded(sql: str, *sites: str) -> str:
    """Replace macros as Grafana's PostgreSQL data source does ("PostgreSQL query editor", Macros), and the variable.

    A variable of several values becomes a list of them, quoted; "All" becomes the variable's own value for it.
    """
    since, until = (f"'{at:%Y-%m-%dT%H:%M:%SZ}'" for at in (START, NOW))
    chosen = ",".join("'" + one.replace("'", "''") + "'" for one in sites) or SITE["allValue"]
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {since} AND {until}", sql)
    sql = sql.replace("$__timeFrom()", since).replace("$__timeTo()", until).replace("$site", chosen)
    assert "$" not in sql
    return sql


@pytest.fixture
def night(fleet: Fleet) -> Iterator[Fleet]:
    """Since 02:10 building-a is dark and a device of building-b is silent; it is 02:15, and a reader looks on."""
    fleet.live(600, *A, *B, *C, *D)
    fleet.live(300, *A, *B, *C, *D, silent=[*A, B[0]])
    fleet.run("UPDATE device_state SET queue_depth = 7, last_upload_ts = %s WHERE device_id = %s", START, C[0])
    fleet.run("UPDATE device_state SET status = 'degraded' WHERE device_id = %s", A[0])
    reader = f"reader_{uuid4().hex[:12]}"
    assert GRANTS
    fleet.run(GRANTS[1].replace("grafana", reader).replace("hvac_db", fleet.database.name))
    fleet.run(f"GRANT USAGE ON SCHEMA clock TO {reader}; SET ROLE {reader}")
    yield fleet
    fleet.run(f"RESET ROLE; DROP OWNED BY {reader}; DROP ROLE {reader}")


def rows(fleet: Fleet, panel: str, *sites: str) -> list[tuple[Any, ...]]:
    """Run a panel's query and return its rows; columns must fit the kind of panel, and its overrides the columns."""
    [target] = PANELS[panel]["targets"]
    found = fleet.rows(expanded(target["rawSql"], *sites))
    columns = {*found[0]} if found else set()
    for override in PANELS[panel]["fieldConfig"]["overrides"] if found else ():
        matcher = override["matcher"]
        named = [one for one in columns if matcher["id"] == "byRegexp" and re.fullmatch(matcher["options"], one)]
        assert named or matcher["options"] in columns
    if PANELS[panel]["type"] == "timeseries":
        assert target["format"] == "time_series"
        times = [row["time"] for row in found]
        assert all(isinstance(at, datetime) for at in times)
        assert times == sorted(times)
        assert all(isinstance(value, float) for row in found for name, value in row.items() if name != "time")
    else:
        assert target["format"] == "table"
    if PANELS[panel]["type"] == "stat":
        assert len(found) == 1
        assert all(isinstance(value, int | float | None) for value in found[0].values())
    return [tuple(row.values()) for row in found]


def test_is_it_us(night: Fleet) -> None:
    assert rows(night, "Is it us?") == [(0,)]
    night.run("RESET ROLE; INSERT INTO fleet_silence (silent_from, opened_at) VALUES (now(), now())")
    assert rows(night, "Is it us?") == [(1,)]
    night.run("INSERT INTO deaf_interval (starts_at, note) VALUES (now() - interval '1 minute', 'the line')")
    assert rows(night, "Is it us?") == [(2,)]
    [shaded] = DASHBOARD["annotations"]["list"]
    [row] = night.rows(expanded(shaded["target"]["rawSql"]))
    assert row == {"time": NOW - timedelta(minutes=1), "timeend": NOW, "text": "we were deaf: the line"}
    texts = PANELS["Is it us?"]["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {*texts} == {"0", "1", "2"}


def test_the_fleet_at_a_glance(night: Fleet) -> None:
    assert rows(night, "Newest heartbeat") == [(0.0,)]
    assert rows(night, "The fleet") == [(10, 6, 4, 0, 1, 1)]
    assert rows(night, "The fleet", "o'hara", "building-c") == [(4, 4, 0, 0, 1, 0)]


def test_what_is_dark_stale_and_not_delivering(night: Fleet) -> None:
    silent = START + timedelta(minutes=10)
    assert rows(night, "Dark sites") == [("building-a", silent, 300.0, 3)]
    assert rows(night, "Stale devices") == [
        ("building-a/000", "building-a", silent, 300.0, "degraded"),
        *((device, device.partition("/")[0], silent, 300.0, None) for device in [*A[1:], B[0]]),
    ]
    assert rows(night, "Stale devices", "building-b") == [(B[0], "building-b", silent, 300.0, None)]
    assert rows(night, "Alive, but not delivering") == [(C[0], "building-c", START, 7, None)]


def test_how_many_were_silent_at_a_time(night: Fleet) -> None:
    found = rows(night, "Silent devices over time")
    assert len(found) == 201
    assert (found[0], found[-1]) == ((START, 0.0), (NOW, 4.0))
    began = next(at for at, count in found if count)
    assert timedelta(0) <= began - (START + timedelta(minutes=10)) < timedelta(seconds=5)
    night.run("RESET ROLE")
    night.wait(1)
    night.beat(*A)  # back before the end of what is shown, which is later now
    night.wait(60)
    sql = PANELS["Silent devices over time"]["targets"][0]["rawSql"]
    until = (NOW + timedelta(minutes=10)).isoformat()
    last = night.rows(expanded(sql.replace("$__timeTo()", f"'{until}'")))[-1]
    assert last == {"time": night.now.astimezone(UTC), "silent devices": 1.0}


def test_the_worst_this_month(night: Fleet) -> None:
    observed = 870  # seconds since the first heartbeat
    availability = int((1 - 300 / observed) * 1_000_000) / 10_000
    assert rows(night, "Worst sites this month") == [
        ("building-a", availability, 3, 900.0, 300.0, 3),
        ("building-b", int((1 - 100 / observed) * 1_000_000) / 10_000, 1, 300.0, 300.0, 3),
        ("building-c", 100.0, 0, 0.0, 0.0, 2),
        ("o'hara", 100.0, 0, 0.0, 0.0, 2),
    ]
    worst = rows(night, "Worst devices this month")
    assert [row[0] for row in worst[:4]] == [*A, B[0]]
    assert worst[0] == (A[0], "building-a", availability, 1, 300.0, 300.0)
    assert len(rows(night, "Worst devices this month", "o'hara")) == 2


def test_what_was_told(night: Fleet) -> None:
    told = rows(night, "What was told")
    assert [row[1:] for row in told] == [
        ("Silence Opened", "building-b: 1 of 3 silent since 02:10 UTC", "", 0),
        ("Silence Opened", "building-a: 3 of 3 silent since 02:10 UTC", "", 0),
    ]
    assert len(rows(night, "What was told", "building-a")) == 1


def test_the_sites_to_choose_from(night: Fleet) -> None:
    found = night.rows(SITE["query"])
    assert [row["site_id"] for row in found] == ["building-a", "building-b", "building-c", "o'hara"]


def test_the_reader_may_only_read(night: Fleet) -> None:
    for title in PANELS:
        rows(night, title)
    allowed = night.rows(
        "SELECT DISTINCT privilege_type FROM information_schema.table_privileges"
        " WHERE grantee = current_user AND table_schema = 'public'"
    )
    assert [row["privilege_type"] for row in allowed] == ["SELECT"]


def test_a_fleet_that_has_not_sent_anything_is_no_error(fleet: Fleet) -> None:
    found = {title: rows(fleet, title) for title in PANELS}
    assert found["Is it us?"] == [(0,)]
    assert found["Newest heartbeat"] == [(None,)]
    assert found["The fleet"] == [(0,) * 6]
    assert [title for title, answer in found.items() if PANELS[title]["type"] == "table" and answer] == []
