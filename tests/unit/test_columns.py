"""A heartbeat is sent by the place of its fields alone, so the struct, the store and the SQL name them in one order."""

from __future__ import annotations

import re

import pytest

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.store.device_state import _COLUMNS
from hvac_heartbeat.store.queries import queries


def test_the_store_packs_the_fields_of_a_heartbeat_in_their_order() -> None:
    assert tuple(name for name, _ in _COLUMNS) == Heartbeat.__struct_fields__


@pytest.mark.parametrize("rows", ["heartbeats", "heartbeat"])
def test_the_parameters_of_the_statements_are_the_fields_of_a_heartbeat_in_their_order(rows: str) -> None:
    parameters = re.findall(r"\$(\d+)::.* AS (\w+)", queries()[rows])
    assert parameters == [(str(place), field) for place, field in enumerate(Heartbeat.__struct_fields__, 1)]
