"""The limits are real: each is seen to be kept, and what breaks one is told from what breaks another."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.small_lambda import CORE_SHARE, MIB, SmallLambda, cgroup

if TYPE_CHECKING:
    from tests.conftest import Database

ONE = {"device_id": "d1", "site_id": "north", "status": "ready"}


def test_a_heartbeat_is_answered_as_lambda_would_answer_it(small_lambda: SmallLambda) -> None:
    invocation = small_lambda.invoke(ONE)
    assert invocation.completed
    assert invocation.status == 200
    assert '"message":"invocation"' in invocation.log
    assert 10 < invocation.peak_mib < 128


def test_an_error_that_the_handler_raises_is_no_crash(small_lambda: SmallLambda) -> None:
    with SmallLambda({"DB_HOST": "/nowhere", "DB_NAME": "x", "DB_USER": "x"}, timeout_s=2) as astray:
        invocation = astray.invoke(ONE)
    assert invocation.completed
    assert invocation.error == "StoreUnavailable"


def test_a_function_that_is_busy_at_the_deadline_is_replaced(small_lambda: SmallLambda) -> None:
    # Four ignored fields in each take a tenth of a second to complain of, even with a whole processor.
    odd = ONE | {"cpu_pct": "n/a", "disk_free_gb": "n/a", "queue_depth": -1, "last_upload_ts": "yesterday"}
    thousands = {"devices": [odd | {"device_id": f"d{number}"} for number in range(10_000)]}
    late = small_lambda.invoke(thousands, timeout_s=0.05)
    assert late.missed_deadline
    assert late.seconds < 1
    assert "most recent call first" in late.log  # what it was busy with
    assert small_lambda.invoke(ONE).status == 200


def test_a_function_that_takes_more_memory_is_killed_and_replaced(database: Database) -> None:
    with SmallLambda(database.environment, memory_mib=48, core_share=1) as smaller:
        killed = smaller.invoke(b'{"devices": [' + b"0.5," * 1_000_000 + b"0]}")
        assert killed.killed_for_memory
        assert killed.crashed is None
        assert smaller.invoke(ONE).status == 200


def test_a_process_that_ends_for_another_reason_was_not_killed_for_memory(small_lambda: SmallLambda) -> None:
    small_lambda.invoke(ONE)
    assert small_lambda.process_id is not None
    os.kill(small_lambda.process_id, signal.SIGSEGV)
    assert small_lambda.invoke(ONE).crashed == -signal.SIGSEGV


def test_it_gets_no_more_of_the_processor_than_its_share(small_lambda: SmallLambda) -> None:
    small_lambda.invoke(ONE)
    schedule = Path(f"/proc/{small_lambda.process_id}/schedstat")  # its first word: nanoseconds on a processor
    before = int(schedule.read_text().split()[0])
    many = {"devices": [{"device_id": number} for number in range(10_000)]}
    seconds = small_lambda.invoke(many).seconds
    used = (int(schedule.read_text().split()[0]) - before) / 1e9
    assert used > 0.03
    assert used < CORE_SHARE * (seconds + 0.3)  # the periods at both ends are not whole


def test_the_cgroups_are_gone_in_the_end(database: Database) -> None:
    with SmallLambda(database.environment) as function:
        folders = function.folders
        assert all(folder.exists() for folder in folders)
        function.invoke(ONE)
    assert not any(folder.exists() for folder in folders)


def test_what_a_killed_run_left_behind_is_removed_by_the_next(database: Database) -> None:
    with SmallLambda(database.environment) as function:
        left = [folder.with_name("hvac-small-lambda-999999999-0") for folder in function.folders]
    for folder in left:
        folder.mkdir()
    with SmallLambda(database.environment):
        assert not any(folder.exists() for folder in left)


def test_a_machine_without_cgroups_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    with pytest.raises(cgroup.NoCgroup, match="no cgroup with cpu and memory controllers below"):
        cgroup.make(MIB)
