"""An `aws` that answers as told and writes down what it was asked: for answers that no emulator gives."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "123456789012"
PASSWORD = "correct-horse-battery-staple"
DATABASE = {"DB_HOST": "db.example", "DB_NAME": "hvac_db", "DB_USER": "hvac", "DB_PASSWORD": PASSWORD}
REFUSED = "\nAn error occurred ({code}) when calling the X operation: {message}\n"

# An answer is a file, named after service, operation and number of the call, from which on it holds. Without one the
# account is empty and every change succeeds. What is sent in a file is kept: deploy.sh removes its own.
_PROGRAM = """#!/bin/sh
cd {folder}
echo "$*" >>calls
echo "$AWS_REGION $AWS_DEFAULT_REGION" >>regions
for argument; do
    case "$argument" in *.json | */template.yaml) cp "${{argument#file://}}" "sent.${{argument##*/}}" ;; esac
done
call="$1.$2"
echo >>"$call.count"
number=$(wc -l <"$call.count")
while [ "$number" -gt 0 ]; do
    if [ -f "$call.$number.err" ]; then cat "$call.$number.err" >&2; exit 254; fi
    if [ -f "$call.$number.out" ]; then cat "$call.$number.out"; exit 0; fi
    number=$((number - 1))
done
case "$2" in
    get-caller-identity) echo {account} ;;
    describe-stacks)
        if [ -f cloudformation.execute-change-set.count ]; then echo CREATE_COMPLETE None; else
            printf '{no_stack}' >&2; exit 254; fi ;;
    describe-secret) printf '{no_secret}' >&2; exit 254 ;;
    head-*) printf '{no_object}' >&2; exit 254 ;;
    create-secret) echo arn:aws:secretsmanager:eu-central-1:{account}:secret:made ;;
    describe-change-set) case "$*" in *Status*) echo CREATE_COMPLETE None ;; *) printf '{change}' ;; esac ;;
esac
"""


@dataclass(frozen=True)
class FakeAws:
    """The command, what it is to answer, and what it was called with."""

    folder: Path

    def __post_init__(self) -> None:
        program = self.folder / "bin" / "aws"
        program.parent.mkdir()
        program.write_text(
            _PROGRAM.format(
                folder=self.folder,
                account=ACCOUNT,
                no_stack=REFUSED.format(code="ValidationError", message="Stack with id x does not exist"),
                no_secret=REFUSED.format(code="ResourceNotFoundException", message="not there"),
                no_object=REFUSED.format(code="404", message="Not Found"),
                change=r"Modify\tFalse\tAWS::Lambda::Function\tHeartbeatFunction\tTimeout,Environment,Timeout\n",
            )
        )
        program.chmod(0o755)
        sleep = program.with_name("sleep")  # there is nothing to wait for
        sleep.write_text("#!/bin/sh\n")
        sleep.chmod(0o755)
        (self.folder / "package.zip").write_bytes(b"zip")

    def answers(self, call: str, *answers: Any) -> None:
        """Let a call such as "cloudformation describe-stacks" answer with texts, or documents as JSON, one a call."""
        for number, answer in enumerate(answers, start=1):
            text = answer if isinstance(answer, str) else json.dumps(answer)
            (self.folder / f"{call.replace(' ', '.')}.{number}.out").write_text(text + "\n")

    def refuses(self, call: str, code: str, message: str = "no", *, number: int = 1) -> None:
        """Let a call end as the CLI does when the service answers with an error, from its `number`-th time on."""
        text = REFUSED.format(code=code, message=message)
        (self.folder / f"{call.replace(' ', '.')}.{number}.err").write_text(text)

    def has_stack(self, parameters: dict[str, str], *later: str, status: str = "UPDATE_COMPLETE") -> None:
        """Let the stack be there; `later` is what is said of it once the change set was executed."""
        self.answers(
            "cloudformation describe-stacks",
            status,
            list(parameters.items()),
            *(later or ("UPDATE_COMPLETE\tNone", "Url\tx")),
        )

    def sent(self, name: str) -> str:
        """Return the last file of a name that was sent."""
        return (self.folder / f"sent.{name}").read_text()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that the stack was sent, True for one that keeps its value."""
        entries = json.loads(self.sent("parameters.json"))
        return {entry["ParameterKey"]: entry.get("ParameterValue", entry.get("UsePreviousValue")) for entry in entries}

    def calls(self) -> list[str]:
        """Return what it was called with, in order."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def changes(self) -> list[str]:
        """Return service and operation of every call that was no look."""
        calls = [" ".join(line.split()[:2]) for line in self.calls()]
        return [call for call in calls if not call.split()[1].startswith(("get-", "head-", "describe-"))]

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a person who deploys to it; an empty setting is one that is not set."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "HEARTBEAT_"))}
        return kept | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "REGION": "eu-central-1",
            "PACKAGE": str(self.folder / "package.zip"),
            "PYTHON": sys.executable,
            **DATABASE,
            **settings,
        }
