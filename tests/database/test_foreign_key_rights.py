"""Roles that may not see all of what the foreign keys of `device_state` lead to, or not do all they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from tests.database.parents import KNOWN_DEVICE, KNOWN_SITE, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.database.parents import Fleet


def test_the_table_may_be_in_a_schema_that_only_the_search_path_leads_to(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    parents.execute(
        "CREATE SCHEMA fleet; ALTER TABLE device_state SET SCHEMA fleet; ALTER TABLE sites SET SCHEMA fleet"
    )
    fleet = as_role(
        "GRANT USAGE ON SCHEMA fleet TO {role}; GRANT SELECT, INSERT, UPDATE ON fleet.device_state TO {role};"
        "GRANT SELECT ON devices, fleet.sites TO {role}; ALTER ROLE {role} SET search_path = fleet"
    )
    for _ in range(2):
        assert fleet.write("d1", "stranger", ("d2", "nowhere")).rejected == {"stranger": KNOWN_DEVICE, "d2": KNOWN_SITE}
    assert fleet.statements == 1
    assert parents.execute("SELECT device_id FROM fleet.device_state").fetchall() == [("d1",)]


def test_a_role_that_may_not_read_the_parents_still_writes_the_rest(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    fleet = as_role("GRANT SELECT, INSERT, UPDATE ON device_state TO {role}")
    devices = [f"d{n}" for n in range(1, 33)]
    for _ in range(2):
        written = fleet.write(*devices, "stranger1", "stranger2")
        assert written.rejected == {"stranger1": KNOWN_DEVICE, "stranger2": KNOWN_DEVICE}
        assert stored(parents) == set(devices)
    assert fleet.statements == 3  # the clean ones together, each known stranger by itself
    parents.execute("INSERT INTO devices VALUES ('stranger1', 'north')")
    assert set(fleet.write("d1", "stranger1", "stranger2").rejected) == {"stranger2"}
    fleet.write("d1", "stranger1")
    assert fleet.statements == 1  # no suspect any more


def test_a_right_on_the_parents_that_is_revoked_later_costs_no_heartbeat(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    fleet = as_role(
        "GRANT SELECT, INSERT, UPDATE ON device_state TO {role}; GRANT SELECT (device_id) ON devices TO {role}; "
        "GRANT SELECT ON sites TO {role}"
    )
    assert fleet.write("d1", "stranger").rejected == {"stranger": KNOWN_DEVICE}
    assert fleet.write("d1", "stranger").rejected
    assert fleet.statements == 1
    parents.execute(sql.SQL("REVOKE SELECT ON sites FROM {}").format(sql.Identifier(fleet.database.settings.user)))
    assert fleet.write("d1", "stranger").rejected == {"stranger": KNOWN_DEVICE}
    assert stored(parents) == {"d1"}


def test_parents_behind_row_level_security_are_not_taken_for_missing(
    as_role: Callable[[str], Fleet], parents: psycopg.Connection
) -> None:
    """The key's own check sees every row, the role's look would see none."""
    fleet = as_role("GRANT SELECT, INSERT, UPDATE ON device_state TO {role}; GRANT SELECT ON devices, sites TO {role}")
    parents.execute("ALTER TABLE devices ENABLE ROW LEVEL SECURITY")
    for _ in range(2):
        written = fleet.write("d1", "stranger", ("d2", "nowhere"))
        assert written.rejected == {"stranger": KNOWN_DEVICE, "d2": KNOWN_SITE}
        assert stored(parents) == {"d1"}


def test_a_missing_right_on_the_table_is_a_failure_not_a_rejection(as_role: Callable[[str], Fleet]) -> None:
    fleet = as_role("GRANT SELECT ON device_state TO {role}")
    with pytest.raises(Exception, match="lacks a right") as raised:
        fleet.write("d1")
    assert getattr(raised.value, "sqlstate", None) == "42501"
