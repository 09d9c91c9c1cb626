"""Every row of the table in the design contract's section 1: what a field takes, and the reason where it does not."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvac_heartbeat import fields
from hvac_heartbeat.fields import Unusable

HUGE = pytest.param(10**5000, id="5,000 digits")  # more than Python turns into text
ARRIVAL = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

# Anything that JSON can say, and the values that only Python's decoder lets through.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("given_id", "taken"),
    [
        ("hvac-001", "hvac-001"),
        ("  hvac 001\n", "hvac 001"),
        (7, "7"),
        (-7, "-7"),
        (2**63 - 1, "9223372036854775807"),
        ("x" * 256, "x" * 256),
        (" " + "x" * 256 + " ", "x" * 256),
        ("Kältemaschine №5 ❄", "Kältemaschine №5 ❄"),
        ("' OR 1=1 --\"\\", "' OR 1=1 --\"\\"),
    ],
)
def test_an_identity_is_trimmed_text_or_a_64_bit_integer(given_id: object, taken: str) -> None:
    assert fields.identity(given_id) == taken


@pytest.mark.parametrize(
    ("given_id", "reason"),
    [
        (None, "is missing"),
        ("", "is blank"),
        (" \t\n", "is blank"),
        ("x" * 257, "is longer than 256 characters"),
        ("x" * 10_000, "is longer than 256 characters"),
        ("a\0b", "holds a control character"),
        ("a\x7fb", "holds a control character"),
        ("a\x85b", "holds a control character"),
        ("a\ud800b", "holds a lone surrogate, which is no character"),
        (True, "is not a string"),
        (1.5, "is not a string"),
        (float("nan"), "is not a string"),
        (2**63, "is an integer beyond signed 64 bits"),
        pytest.param(10**5000, "is an integer beyond signed 64 bits", id="5,000 digits"),
        ([], "is not a string"),
        ({}, "is not a string"),
    ],
)
def test_an_unusable_identity_is_told_with_its_reason(given_id: object, reason: str) -> None:
    with pytest.raises(Unusable) as unusable:
        fields.identity(given_id)
    assert str(unusable.value) == reason


@pytest.mark.parametrize(
    ("value", "taken"), [(0, 0.0), (25.5, 25.5), ("25.5", 25.5), (" 7 ", 7.0), ("1e3", 1000.0), (10**20, 1e20)]
)
def test_an_amount_is_a_finite_number_or_its_decimal_text(value: object, taken: float) -> None:
    assert fields.amount(value) == taken


@pytest.mark.parametrize(
    "value",
    [True, False, -0.1, math.nan, math.inf, -math.inf, "nan", "inf", "1_000", "0x10", "", "٣", "9" * 100, HUGE, []],
)
def test_what_is_no_finite_amount_is_ignored(value: object) -> None:
    with pytest.raises(Unusable):
        fields.amount(value)


@pytest.mark.parametrize(("value", "taken"), [(0, 0), (5.0, 5), ("12", 12), ("12.0", 12), (2**31 - 1, 2**31 - 1)])
def test_a_count_is_an_integer_its_text_or_an_integral_float(value: object, taken: int) -> None:
    read = fields.count(value)
    assert (read, type(read)) == (taken, int)


@pytest.mark.parametrize("value", [-1, 2**31, 5.5, "5.5", True, math.nan, math.inf, HUGE, "1e999", None])
def test_what_is_no_count_is_ignored(value: object) -> None:
    with pytest.raises(Unusable):
        fields.count(value)


def test_a_poll_interval_is_at_least_one_second() -> None:
    assert fields.interval(1) == 1
    with pytest.raises(Unusable, match="outside 1 to 2147483647"):
        fields.interval(0)


@pytest.mark.parametrize("value", ["Ready", "", "offline", None, 1, True, ["ready"], {}])
def test_a_status_nobody_knows_is_ignored(value: object) -> None:
    with pytest.raises(Unusable, match="is not one of ready, degraded, error"):
        fields.status(value)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("2026-05-04T03:00:00Z", datetime(2026, 5, 4, 3, tzinfo=UTC)),
        ("2026-05-04T03:00:00z", datetime(2026, 5, 4, 3, tzinfo=UTC)),
        ("2026-05-04 05:00:00+02:00", datetime(2026, 5, 4, 3, tzinfo=UTC)),
        ("2026-05-04T03:00:00", datetime(2026, 5, 4, 3, tzinfo=UTC)),
        ("20260504T030000Z", datetime(2026, 5, 4, 3, tzinfo=UTC)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
        (1_777_777_777, datetime(2026, 5, 3, 3, 9, 37, tzinfo=UTC)),
        (1_777_777_777.5, datetime(2026, 5, 3, 3, 9, 37, 500_000, tzinfo=UTC)),
        (1_777_777_777_500, datetime(2026, 5, 3, 3, 9, 37, 500_000, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1777777777", datetime(2026, 5, 3, 3, 9, 37, tzinfo=UTC)),
        (" 1777777777500 ", datetime(2026, 5, 3, 3, 9, 37, 500_000, tzinfo=UTC)),
        ("1770101121259", datetime(2026, 2, 3, 6, 45, 21, 259_000, tzinfo=UTC)),
    ],
)
def test_an_upload_time_is_iso_8601_or_epoch_seconds_or_milliseconds(value: object, taken: datetime) -> None:
    assert fields.past_moment(value, ARRIVAL) == taken


@pytest.mark.parametrize(
    "value",
    [
        "0000-01-01",
        "10000-01-01",
        "yesterday",
        "",
        "2026-02-30",
        "2026-05-04x03:00",
        "0001-01-01T00:00:00+14:00",
        *("20260504", "2026", "7", "9" * 400, "9" * 5_000, "-1777777777", "+1777777777", "\u0661" * 10),
        *(True, math.nan, math.inf, 1e300, -1e300, HUGE, [], {}),
    ],
)
def test_what_is_no_time_is_ignored(value: object) -> None:
    with pytest.raises(Unusable):
        fields.past_moment(value, ARRIVAL)


def test_an_upload_is_believed_up_to_five_minutes_after_the_arrival() -> None:
    edge = ARRIVAL + timedelta(minutes=5)
    assert fields.past_moment(edge.isoformat(), ARRIVAL) == edge
    with pytest.raises(Unusable, match="more than 5 minutes after"):
        fields.past_moment((ARRIVAL + timedelta(minutes=5, seconds=1)).isoformat(), ARRIVAL)


@given(anything)
def test_no_value_whatever_raises_anything_but_unusable(value: object) -> None:
    for reader in (
        fields.identity,
        fields.status,
        fields.agent_version,
        fields.amount,
        fields.count,
        fields.interval,
        fields.moment,
    ):
        try:
            reader(value)
        except Unusable as unusable:
            assert str(unusable)  # noqa: PT017 - raising is allowed, without a reason it is not
