"""An answer fits into Lambda's and the load balancer's 1 MB, however much there is to complain of."""

from __future__ import annotations

import json

import pytest

from hvac_heartbeat.aws import answers
from hvac_heartbeat.heartbeat import Complaint
from hvac_heartbeat.records import Record
from hvac_heartbeat.verdicts import Outcome, Verdict

LONGEST = '"' * answers.ECHO_LIMIT  # a quote is escaped twice, once in the body and once around it
CONSTRAINT = '"' * 63  # PostgreSQL's longest name


@pytest.mark.parametrize("verdict", [Verdict.UPDATED, Verdict.OUTDATED])
def test_no_length_of_complaints_hides_that_something_was_written(verdict: Verdict) -> None:
    reason = f"violates the database's constraint {CONSTRAINT}"
    late = "is more than 5 minutes after the heartbeat's arrival"
    outcome = Outcome(
        [Record("event")],
        verdicts=[verdict] * 5_000 + [Verdict.REJECTED] * 5_000,
        device_ids=[f"{n}{LONGEST}" for n in range(10_000)],
        rejected=[Complaint(n, LONGEST, "device_id", reason) for n in range(5_000, 10_000)],
        ignored=[Complaint(n, LONGEST, "last_upload_ts", late) for n in range(10_000)],
    )
    answer = answers.accepted(outcome)
    assert answer["statusCode"] == 207
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 2**20
    body = json.loads(answer["body"])
    for cut, count in (("rejected", 5_000), ("ignored_fields", 10_000)):
        assert (len(body[cut]), body[f"{cut}_count"]) == (answers.COMPLAINT_LIMIT, count)
