"""The examples in docs/liveness.md print what stands there."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.database.ledger.clock import at
from tests.database.ledger.reports import steady

if TYPE_CHECKING:
    import psycopg

    from tests.database.ledger.clock import Ledger

DOCUMENT = Path(__file__).parents[3] / "docs" / "liveness.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
TABLE_LINE = re.compile(r"^\|(.*)\|$")


@dataclass(frozen=True)
class Example:
    """SQL, and the table that stands below it if it prints one."""

    sql: str
    expected: list[list[str]]

    @property
    def time(self) -> str | None:
        """What the SQL's first line says of the clock."""
        found = re.match(r"-- (\d\d:\d\d(:\d\d)?)\n", self.sql)
        return found[1] if found else None


def cells(lines: list[str]) -> list[list[str]]:
    """Return the heading and the rows of the table that begins with the first of these lines."""
    rows = []
    for line in lines:
        found = TABLE_LINE.match(line)
        if not found:
            break
        rows.append([cell.strip() for cell in found[1].split("|")])
    return rows[:1] + rows[2:]


def examples() -> list[Example]:
    parts = re.split(r"^```sql\n(.*?)^```\n", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [
        Example(sql, cells(after.lstrip("\n").splitlines()))
        for sql, after in zip(parts[1::2], parts[2::2], strict=True)
    ]


def printed(connection: psycopg.Connection, sql: str) -> list[list[str]]:
    """Return what a query prints, in PostgreSQL's own words, with null as nothing."""
    with connection.cursor().copy(
        f"COPY ({sql.strip().rstrip(';')}) TO STDOUT WITH (FORMAT csv, HEADER)".encode()
    ) as copy:
        text = b"".join(bytes(block) for block in copy).decode()
    return list(csv.reader(text.splitlines()))


@pytest.fixture
def fleet(ledger: Ledger) -> Ledger:
    """The fleet that the document tells of."""
    heading = "| device | site | from | to |"
    rows = cells(TEXT[TEXT.index(heading) :].splitlines())[1:]
    assert len(rows) == 4
    for device, site, first, last in rows:
        steady(ledger, device, at(first), at(last), site=site)
    ledger.connection.execute("SET TimeZone = 'UTC'")
    ledger.connection.execute("CREATE ROLE reader")
    return ledger


def test_every_example_prints_what_stands_below_it(fleet: Ledger) -> None:
    asked = 0
    try:
        for example in examples():
            if example.time:
                fleet.now(at(example.time))
            if example.sql.removeprefix(f"-- {example.time}\n").startswith("SELECT"):
                assert printed(fleet.connection, example.sql) == example.expected, example.sql
                asked += 1
            else:
                fleet.connection.execute(example.sql.encode())
        assert asked == 15
    finally:
        fleet.connection.execute("RESET ROLE")
        fleet.connection.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_the_grants_are_all_that_a_reader_needs_and_none_too_many(fleet: Ledger) -> None:
    grants = next(example.sql for example in examples() if example.sql.startswith("GRANT"))
    answers = ["v_device_liveness", "v_site_liveness", "v_silences", "v_stale_after", "v_in_maintenance", "v_deaf"]
    answers += ["device_availability(NULL, NULL)", "site_availability(NULL, NULL)"]
    try:
        fleet.connection.execute("GRANT USAGE ON SCHEMA clock TO reader; GRANT SELECT ON clock.time TO reader")
        fleet.connection.execute(grants.encode())
        fleet.connection.execute("SET ROLE reader")
        for answer in answers:
            fleet.rows(f"SELECT * FROM {answer}")  # noqa: S608 - ours
        fleet.policy("fleet", "", "5 minutes")
        fleet.maintenance("site", "north", at("08:00"))
        fleet.deaf(at("08:00"))
        for table in ("liveness_policy", "maintenance_window", "deaf_interval"):
            fleet.connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - ours
    finally:
        fleet.connection.execute("RESET ROLE")
        fleet.connection.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_the_document_names_every_column(ledger: Ledger) -> None:
    made = ledger.rows(
        "SELECT relname, array_agg(attname::text ORDER BY attnum)"
        " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0"
        " AND relname NOT IN ('device_state', 'v_devices_stale') GROUP BY relname"
    )
    assert len(made) == 12
    for name, columns in made:
        (line,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, flags=re.MULTILINE)
        assert [column for column in columns if f"`{column}`" not in line] == [], name
    functions = {
        name
        for (name,) in ledger.rows(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
        )
    }
    assert {name for name in functions if f"`{name}(" not in TEXT} == set()
