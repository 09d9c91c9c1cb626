"""Records in, an outcome out: the one use case, as one sentence: read, write, outcome."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from hvac_heartbeat.heartbeat import OPTIONAL_FIELDS, Heartbeat
from hvac_heartbeat.outcome import Complaint, Outcome, Verdict
from hvac_heartbeat.reading import Record, read
from hvac_heartbeat.writing import Writer, WriteResult

# What is left to do for each heartbeat once the time for writing is up, at 128 MB (7.2 % of a core).
_S_PER_HEARTBEAT: Final = 0.00005


def ingest(records: Iterable[Record], writer: Writer, deadline: float, *, refuse_too_many: bool = False) -> Outcome:
    """Read the records' heartbeats, write the good ones and say what became of each.

    Bad input and a lost database are verdicts, but where a record holds more than 10,000 heartbeats `refuse_too_many`
    raises EventRefused with nothing written. `deadline` is in seconds of `time.monotonic`.
    """
    heartbeats, outcome = read(records, refuse_too_many=refuse_too_many)
    reserve = min(_S_PER_HEARTBEAT * len(heartbeats), max(deadline - time.monotonic(), 0) / 2)
    result = writer.write(heartbeats, deadline - reserve)
    if result.outdated or result.failed or result.rejected or result.ignored or result.ledger:
        _add(result, heartbeats, outcome)
    return outcome


def _add(result: WriteResult, heartbeats: Sequence[Heartbeat], outcome: Outcome) -> None:
    outcome.failure, outcome.ledger = result.failure, result.ledger
    rejected: list[Complaint] = []
    ignored: list[Complaint] = []
    read = (index for index, verdict in enumerate(outcome.verdicts) if verdict is not Verdict.REJECTED)
    for index, heartbeat in zip(list(read), heartbeats, strict=True):
        device_id, key = heartbeat.device_id, (heartbeat.device_id, heartbeat.site_id)
        if key in result.rejected:
            outcome.verdicts[index] = Verdict.REJECTED
            rejected.append(result.rejected[key].about(index, device_id))
        elif device_id in result.failed:
            outcome.verdicts[index] = Verdict.FAILED
        elif device_id in result.outdated:
            outcome.verdicts[index] = Verdict.OUTDATED
        elif (*key, heartbeat.received_at) in result.ignored:
            reason = result.ignored[*key, heartbeat.received_at].reason
            said = [field for field in OPTIONAL_FIELDS if getattr(heartbeat, field) is not None]
            ignored += [Complaint(field, reason, index, device_id) for field in said]
    outcome.rejected.merge(rejected)
    outcome.ignored.merge(ignored)
