"""The fixture for every test that needs the function within Lambda's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.skips import skip_or_fail
from tests.small_lambda import SmallLambda
from tests.small_lambda.cgroup import NoCgroup

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def small_lambda(environment: dict[str, str]) -> Iterator[SmallLambda]:
    """The function on `database`, with 128 MB and 7.2 % of a core."""
    try:
        container = SmallLambda(environment)
    except NoCgroup as reason:
        skip_or_fail(f"Lambda's limits cannot be set here ({reason})", "run as root on Linux, outside a container")
    with container:
        yield container
