"""What deploy.sh wants to find in the account, and in what the account differs from it.

Called by deploy.sh, one command a question; the account's answer comes on standard input. Prints names of settings,
never their values: some are secrets.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HANDLER = "lambda_function.lambda_handler"
RUNTIME = "python3.13"
# As in the mission ("128MB is sufficient"), and below the 29 s and 30 s after which API Gateway answers by itself.
DEFAULTS = {"MEMORY": "128", "TIMEOUT": "25"}
OURS = (
    "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_SSLMODE", "DB_SSLROOTCERT",
    "HEARTBEAT_NEW_DEVICES", "HEARTBEAT_DEVICE_CLAIM", "HEARTBEAT_SITE_CLAIM",
)  # fmt: skip
CREDENTIALS = ("DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH")
IOT = Path(__file__).resolve().parent / "iot"


class SettingError(Exception):
    """A variable cannot be used; the message names it and says what it may be."""


def variables(wanted: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """The function's environment: what it has, overruled by what is set here.

    Variables that somebody set in the console stay. A credential that is set here removes the other two kinds, which
    would contradict it.
    """
    credentials = [name for name in CREDENTIALS if wanted.get(name)]
    if len(credentials) > 1:
        raise SettingError(f"{' and '.join(credentials)} are both set; unset all but one")
    kept = {name: value for name, value in current.items() if not (credentials and name in CREDENTIALS)}
    return kept | {name: wanted[name] for name in (*OURS, *credentials) if wanted.get(name)}


def configuration(wanted: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, Any]:
    """The function's whole configuration, as UpdateFunctionConfiguration takes it."""
    if not (wanted.get("ROLE_ARN") or current.get("Role")):
        raise SettingError("no role; set ROLE_ARN to the function's execution role (docs/deploy.md makes one)")
    document: dict[str, Any] = {
        "FunctionName": wanted["FUNCTION_NAME"],
        "Role": wanted.get("ROLE_ARN") or current["Role"],
        "Runtime": RUNTIME,
        "Handler": HANDLER,
        "MemorySize": number(wanted, "MEMORY", current.get("MemorySize")),
        "Timeout": number(wanted, "TIMEOUT", current.get("Timeout")),
        "Environment": {"Variables": variables(wanted, current.get("Environment", {}).get("Variables", {}))},
    }
    if wanted.get("SUBNET_IDS") or wanted.get("SECURITY_GROUP_IDS"):
        if not (wanted.get("SUBNET_IDS") and wanted.get("SECURITY_GROUP_IDS")):
            raise SettingError("SUBNET_IDS and SECURITY_GROUP_IDS belong together; set both or neither")
        document["VpcConfig"] = {
            "SubnetIds": sorted(wanted["SUBNET_IDS"].split(",")),
            "SecurityGroupIds": sorted(wanted["SECURITY_GROUP_IDS"].split(",")),
        }
    if wanted.get("DEAD_LETTER_ARN"):
        document["DeadLetterConfig"] = {"TargetArn": wanted["DEAD_LETTER_ARN"]}
    return document


def number(wanted: Mapping[str, str], name: str, current: int | None) -> int:
    """The variable as a number; unset, the function's own value, and for a new function the default."""
    text = wanted.get(name) or str(current or DEFAULTS[name])
    if not text.isdecimal() or int(text) == 0:
        raise SettingError(f"{name} is to be a whole number, not {text!r}")
    return int(text)


def differences(desired: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """The names of the settings that an update would change, a variable of the environment by its own name."""
    found: list[str] = []
    for name, value in desired.items():
        there = current.get(name)
        if name == "Environment":
            before = (there or {}).get("Variables", {})
            after = value["Variables"]
            found += sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        elif name == "VpcConfig":
            before = {key: sorted((there or {}).get(key, [])) for key in value}
            found += [name] if before != value else []
        elif there != value:
            found.append(name)
    return found


def rule(kind: str, function_arn: str, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The payload of the topic rule `kind`, device or gateway.

    The SQL version is named because 2015-10-08, the default, reads arrays of one element otherwise.
    """
    payload: dict[str, Any] = {
        "sql": " ".join((IOT / f"{kind}-rule.sql").read_text().split()),
        "awsIotSqlVersion": "2016-03-23",
        "ruleDisabled": False,
        "actions": [{"lambda": {"functionArn": function_arn}}],
    }
    queue, role = wanted.get("IOT_ERROR_QUEUE_URL"), wanted.get("IOT_ERROR_ROLE_ARN")
    if bool(queue) != bool(role):
        raise SettingError("IOT_ERROR_QUEUE_URL and IOT_ERROR_ROLE_ARN belong together; set both or neither")
    if queue:
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


def _answer_configuration(output: str) -> int:
    current = json.loads(sys.stdin.read().strip() or "{}")
    document = configuration(os.environ, current)
    _write(output, document)
    sys.stdout.write(", ".join(differences(document, current)))
    return 0


def _answer_rule(kind: str, function_arn: str, output: str) -> int:
    current = json.loads(sys.stdin.read().strip() or "null")
    payload = rule(kind, function_arn, os.environ)
    _write(output, payload)
    comparable = {name: (current or {}).get(name) for name in payload}
    return 0 if comparable == payload else 1


def _answer_policy(kind: str, output: str, *names: str) -> int:
    current = json.loads(sys.stdin.read().strip() or "null")
    document = thing_policy(kind, *names)
    _write(output, document)
    return 0 if current == document else 1


def _answer_allows(statement: str, source: str) -> int:
    return 0 if allows(sys.stdin.read().strip(), statement, source) else 1


def _answer_target(function_arn: str, output: str) -> int:
    target = {"Id": "1", "Arn": function_arn}
    if os.environ.get("SCHEDULE_INPUT"):
        target["Input"] = json.dumps(json.loads(Path(os.environ["SCHEDULE_INPUT"]).read_text()))
    _write(output, [target])
    sys.stdout.write(json.dumps(target))
    return 0


def _answer_contains(wanted: str) -> int:
    return 0 if json.loads(wanted) in json.loads(sys.stdin.read().strip() or "[]") else 1


def _write(path: str, document: object) -> None:
    # The folder is deploy.sh's own, of mode 0700; the file's mode is for whoever copies it out of there.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file)


ANSWERS: dict[str, Callable[..., int]] = {
    "configuration": _answer_configuration,
    "rule": _answer_rule,
    "policy": _answer_policy,
    "allows": _answer_allows,
    "target": _answer_target,
    "contains": _answer_contains,
}


if __name__ == "__main__":
    try:
        sys.exit(ANSWERS[sys.argv[1]](*sys.argv[2:]))
    except SettingError as error:
        sys.stderr.write(f"deploy: {error}\n")
        sys.exit(2)
