"""An answer fits into Lambda's and the load balancer's 1 MB, however much there is to complain of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hvac_heartbeat.aws import answers
from hvac_heartbeat.outcome import COMPLAINT_LIMIT, Complaint, Complaints, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = '"' * answers.ECHO_LIMIT  # a quote is escaped twice, once in the body and once around it
CONSTRAINT = '"' * 63  # PostgreSQL's longest name


def complaints(found: Iterable[Complaint]) -> Complaints:
    collected = Complaints()
    for complaint in found:
        collected.add(complaint)
    return collected


def test_of_all_complaints_the_first_of_the_event_are_kept_whenever_they_were_found() -> None:
    collected = complaints(Complaint("a", "b", n) for n in range(1_500, 4_000))
    collected.merge([Complaint("c", "d", n) for n in range(500)])
    assert collected.count == 3_000
    assert [found.index for found in collected.first] == [*range(500), *range(1_500, 2_000)]


@pytest.mark.parametrize("verdict", [Verdict.UPDATED, Verdict.OUTDATED])
def test_no_length_of_complaints_hides_that_something_was_written(verdict: Verdict) -> None:
    reason = f"violates the database's constraint {CONSTRAINT}"
    late = "is more than 5 minutes after the heartbeat's arrival"
    outcome = Outcome(
        ["event"],
        verdicts=[verdict] * 5_000 + [Verdict.REJECTED] * 5_000,
        device_ids=[f"{n}{LONGEST}" for n in range(10_000)],
        rejected=complaints(Complaint("device_id", reason, n, LONGEST) for n in range(5_000, 10_000)),
        ignored=complaints(Complaint("last_upload_ts", late, n, LONGEST) for n in range(10_000)),
    )
    answer = answers.written(outcome)
    assert answer["statusCode"] == 207
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 2**20
    body = json.loads(answer["body"])
    for cut, count in (("rejected", 5_000), ("ignored_fields", 10_000)):
        assert (len(body[cut]), body[f"{cut}_count"]) == (COMPLAINT_LIMIT, count)
