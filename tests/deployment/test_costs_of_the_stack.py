"""The costs in docs/costs.md are reckoned with the readers and the windows that the stack has."""

from __future__ import annotations

from typing import Any

from benchmarks import costs


def test_readers_and_windows_are_those_of_the_template(written: dict[str, Any]) -> None:
    for fleet, row in written["Mappings"]["Fleet"].items():
        assert costs.STREAM_READERS[int(fleet)] == row["Shards"]
        assert costs.QUEUE_READERS[int(fleet)] == row["Queue"]
    queue, stream = (written["Resources"][f"{name}Source"]["Properties"] for name in ("Queue", "Stream"))
    assert queue["MaximumBatchingWindowInSeconds"] == costs.QUEUE_WINDOW_S
    assert stream["MaximumBatchingWindowInSeconds"] == costs.STREAM_WINDOW_S
    assert queue["BatchSize"] == stream["BatchSize"] == costs.LARGEST_BATCH
