"""A heartbeat is sent by the place of its fields alone, as text that PostgreSQL reads back as it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.reading import Record, read
from hvac_heartbeat.store.device_state import _as_arrays
from hvac_heartbeat.store.queries import queries

if TYPE_CHECKING:
    from typing import Any


def test_the_parameters_of_the_statements_are_the_fields_of_a_heartbeat_in_their_order() -> None:
    parameters = re.findall(r"\$(\d+)::.* AS (\w+)", queries()["heartbeats"])
    assert parameters == [(str(number), field) for number, field in enumerate(Heartbeat.__struct_fields__, 1)]


@pytest.mark.parametrize("field", ["device_id", "site_id", "agent_version"])
@given(text=st.text(st.characters(exclude_categories=[]), min_size=1, max_size=6))
def test_no_control_character_gets_into_an_array(field: str, text: str) -> None:
    """JSON escapes them in a way that PostgreSQL's arrays do not have, so none may come so far."""
    body: dict[str, Any] = {"device_id": "d", "site_id": "s"} | {field: text}
    heartbeats, _ = read([Record("r", [body, {"device_id": "e", "site_id": "s"}])])
    for array in _as_arrays(heartbeats):
        escaped = r"\\[\\\"]"  # a backslash or a quote, as PostgreSQL's arrays have them too
        assert array is None or not re.search(r"[\x00-\x1f\x7f-\x9f\\]", re.sub(escaped, "", array.decode()))
