"""What lets events in and what they are sent through: schedule, IoT rules and policies, permissions, retries.

Each document holds what the account has already, overruled by what is wanted: EventBridge, IoT and Lambda replace the
whole of what they are sent, and would forget what somebody set in the console.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IOT = Path(__file__).resolve().parent / "iot"
SCHEDULE = "rate(1 minute)"
# Six hours, Lambda's default, would let an old heartbeat make a dead device look alive.
RETRIES = {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 2}


def retries(function: str, current: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of an asynchronous event that fails, as PutFunctionEventInvokeConfig takes it."""
    kept = {"DestinationConfig": current["DestinationConfig"]} if current.get("DestinationConfig") else {}
    return {"FunctionName": function, **RETRIES, **kept}


def tick(name: str, wanted: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule's rule, as PutRule takes it; unset, SCHEDULE is what the rule has, and for a new one a minute."""
    kept = {key: current[key] for key in ("Description", "EventPattern", "RoleArn") if current.get(key)}
    expression = wanted.get("SCHEDULE") or current.get("ScheduleExpression") or SCHEDULE
    return {**kept, "Name": name, "ScheduleExpression": expression, "State": "ENABLED"}


def target(function_arn: str, wanted: Mapping[str, str], current: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The schedule's target that is the function, one of its aliases included: a second one would tick twice."""
    there = next((entry for entry in current if f"{entry['Arn']}:".startswith(f"{function_arn}:")), {})
    taken = {entry["Id"] for entry in current}
    found = {"Id": "1" if "1" not in taken else "hvac-heartbeat", **there, "Arn": function_arn}
    if wanted.get("SCHEDULE_INPUT"):
        text = Path(wanted["SCHEDULE_INPUT"]).read_text()
        found = {key: value for key, value in found.items() if not key.startswith("Input")}
        if text.strip():
            found["Input"] = json.dumps(json.loads(text))
    return found


def rule(kind: str, function_arn: str, wanted: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of the topic rule `kind`, device or gateway.

    The SQL version is named because 2015-10-08, the default, reads arrays of one element otherwise.
    """
    ours = {"lambda": {"functionArn": function_arn}}
    actions = list(current.get("actions", []))
    payload: dict[str, Any] = {
        "sql": " ".join((IOT / f"{kind}-rule.sql").read_text().split()),
        "awsIotSqlVersion": "2016-03-23",
        "ruleDisabled": False,
        "actions": actions if ours in actions else [*actions, ours],
    }
    payload |= {key: current[key] for key in ("description", "errorAction") if current.get(key)}
    if wanted.get("IOT_ERROR_QUEUE_URL"):
        queue, role = wanted["IOT_ERROR_QUEUE_URL"], wanted["IOT_ERROR_ROLE_ARN"]
        payload["errorAction"] = {"sqs": {"queueUrl": queue, "roleArn": role, "useBase64": False}}
    return payload


def thing_policy(kind: str, partition: str, region: str, account: str, rules: str) -> dict[str, Any]:
    """The IoT policy for things of `kind`, with this account's names in place of the capital words."""
    text = (IOT / f"{kind}-policy.json").read_text()
    for word, name in (("PARTITION", partition), ("REGION", region), ("ACCOUNT", account), ("RULE", rules)):
        text = text.replace(word, name)
    document: dict[str, Any] = json.loads(text)
    return document


def allows(policy: str, statement: str, source: str) -> bool:
    """Whether a resource policy lets `source` in, under the statement's name."""
    statements = json.loads(policy or "{}").get("Statement", [])
    return any(
        entry.get("Sid") == statement
        and (entry.get("Condition", {}).get("ArnLike") or entry.get("Condition", {}).get("ArnEquals") or {}).get(
            "AWS:SourceArn"
        )
        == source
        for entry in statements
    )
