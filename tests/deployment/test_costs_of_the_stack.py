"""The costs in docs/costs.md are reckoned with the readers, the windows and the limits that the stack has."""

from __future__ import annotations

from typing import Any

from benchmarks import costs


def test_readers_windows_and_limits_are_those_of_the_template(written: dict[str, Any]) -> None:
    columns = {
        "Shards": costs.STREAM_READERS,
        "Queue": costs.QUEUE_READERS,
        "Reserved": costs.RESERVED,
        "Rate": costs.API_RATE,
    }
    for column, assumed in columns.items():
        assert assumed == {int(fleet): row[column] for fleet, row in written["Mappings"]["Fleet"].items()}
    queue, stream = (written["Resources"][f"{name}Source"]["Properties"] for name in ("Queue", "Stream"))
    assert queue["MaximumBatchingWindowInSeconds"] == costs.QUEUE_WINDOW_S
    assert stream["MaximumBatchingWindowInSeconds"] == costs.STREAM_WINDOW_S
    assert queue["BatchSize"] == stream["BatchSize"] == costs.LARGEST_BATCH
