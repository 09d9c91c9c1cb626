"""What deploy.sh wants to find in the account, and in what the account differs from it.

Called by deploy.sh, one command a question; the account's answer comes on standard input. Prints names of settings,
never their values: some are secrets. Exit codes: 0 as wanted, 3 not as wanted, 1 and 2 those of deploy.sh.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from deployment import sources
from deployment.variables import CREDENTIALS, OURS, SettingError, check, credentials, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HANDLER = "lambda_function.lambda_handler"
RUNTIME = "python3.13"
NOT_AS_WANTED = 3


class AccountError(Exception):
    """AWS did not say all of what is there, so a change could lose the rest; the message says what to do."""


def variables(wanted: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """The function's environment: what it has, overruled by what is set here.

    Variables that somebody set in the console stay. A credential that is set here removes the other two kinds, which
    would contradict it.
    """
    given = credentials(wanted)
    kept = {name: value for name, value in current.items() if not (given and name in CREDENTIALS)}
    return kept | {name: wanted[name] for name in (*OURS, *given) if wanted.get(name)}


def environment(current: Mapping[str, Any]) -> dict[str, str]:
    """The variables that the function has.

    Lambda leaves them out, and says why, where the caller may not use the function's key ("EnvironmentResponse", Lambda
    API Reference). Raises AccountError then: sent back without them, the function would lose them all.
    """
    found = current.get("Environment") or {}
    if found.get("Error"):
        why, key = found["Error"].get("ErrorCode", "no reason given"), current.get("KMSKeyArn", "its KMS key")
        raise AccountError(
            f"the function's environment cannot be read ({why}), so it could not be kept; you need kms:Decrypt on {key}"
        )
    held: dict[str, str] = found.get("Variables", {})
    return held


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
        "Environment": {"Variables": variables(wanted, environment(current))},
    }
    if wanted.get("SUBNET_IDS"):
        document["VpcConfig"] = {
            "SubnetIds": sorted(wanted["SUBNET_IDS"].replace(" ", "").split(",")),
            "SecurityGroupIds": sorted(wanted["SECURITY_GROUP_IDS"].replace(" ", "").split(",")),
        }
    if wanted.get("DEAD_LETTER_ARN"):
        document["DeadLetterConfig"] = {"TargetArn": wanted["DEAD_LETTER_ARN"]}
    return document


def differences(desired: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """The names of the settings that an update would change, a variable of the environment by its own name.

    Where Lambda failed to apply the last update, it still shows what it was sent: that is to be sent again.
    """
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
    if not found and "Failed" in {current.get("State"), current.get("LastUpdateStatus")}:
        why = current.get("LastUpdateStatusReasonCode") or current.get("StateReasonCode") or "for no reason given"
        found.append(f"the configuration again, which Lambda failed to apply ({why})")
    return found


def waiter(current: Mapping[str, Any]) -> str:
    """What to wait for before the function can be looked at, by the name of the CLI's waiter; nothing, as a rule."""
    if current.get("State") == "Pending":
        return "function-active"
    return "function-updated" if current.get("LastUpdateStatus") == "InProgress" else ""


def _answer_configuration(output: str) -> int:
    current = _given({})
    document = configuration(os.environ, current)
    _write(output, document)
    sys.stdout.write(", ".join(differences(document, current)))
    return 0


def _answer_waiter() -> int:
    sys.stdout.write(waiter(_given({})))
    return 0


def _answer_architecture() -> int:
    # A function so old that Lambda does not say has the one that all had then.
    current = _given({})
    there = current.get("Architectures", ["x86_64"])[0] if current else "arm64"
    sys.stdout.write(os.environ.get("ARCHITECTURE") or there)
    return 0


def _answer_check() -> int:
    check(os.environ)
    return 0


def _answer_retries(output: str) -> int:
    current = _given({})
    return _wanted(output, sources.retries(os.environ["FUNCTION_NAME"], current), current, sources.RETRIES)


def _answer_tick(name: str, output: str) -> int:
    current = _given({})
    document = sources.tick(name, os.environ, current)
    sys.stdout.write(document["ScheduleExpression"])
    return _wanted(output, document, current, document)


def _answer_target(function_arn: str, output: str) -> int:
    current = _given([])
    target = sources.target(function_arn, os.environ, current)
    _write(output, [target])
    return 0 if target in current else NOT_AS_WANTED


def _answer_rule(kind: str, function_arn: str, output: str) -> int:
    current = _given({})
    payload = sources.rule(kind, function_arn, os.environ, current)
    return _wanted(output, payload, current, payload)


def _answer_policy(kind: str, output: str, *names: str) -> int:
    document = sources.thing_policy(kind, *names)
    return _wanted(output, document, _given({}), document)


def _answer_allows(statement: str, source: str) -> int:
    return 0 if sources.allows(sys.stdin.read().strip(), statement, source) else NOT_AS_WANTED


def _given(nothing: Any) -> Any:
    return json.loads(sys.stdin.read().strip() or "null") or nothing


def _wanted(output: str, document: object, current: Mapping[str, Any], compared: Mapping[str, Any]) -> int:
    _write(output, document)
    return 0 if {name: current.get(name) for name in compared} == compared else NOT_AS_WANTED


def _write(path: str, document: object) -> None:
    # The folder is deploy.sh's own, of mode 0700; the file's mode is for whoever copies it out of there.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file)


ANSWERS: dict[str, Callable[..., int]] = {
    "check": _answer_check,
    "configuration": _answer_configuration,
    "waiter": _answer_waiter,
    "architecture": _answer_architecture,
    "retries": _answer_retries,
    "tick": _answer_tick,
    "target": _answer_target,
    "rule": _answer_rule,
    "policy": _answer_policy,
    "allows": _answer_allows,
}


if __name__ == "__main__":
    try:
        sys.exit(ANSWERS[sys.argv[1]](*sys.argv[2:]))
    except SettingError as error:
        sys.stderr.write(f"deploy: {error}\n")
        sys.exit(2)
    except AccountError as error:
        sys.stderr.write(f"deploy: {error}\n")
        sys.exit(1)
