"""An `aws` that answers as told and writes down what it was asked: for answers that no emulator gives."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = "\nAn error occurred ({code}) when calling the {operation} operation: {message}\n"

# An answer is one file a call, named after service and operation; without one there is nothing to look at, and every
# change succeeds. What a change sends in a file is kept: deploy.sh removes its own.
_PROGRAM = """#!/bin/sh
echo "$*" >>{folder}/calls
for argument; do case "$argument" in file://*) cp "${{argument#file://}}" "{folder}/$1.$2.sent" ;; esac; done
if [ -f "{folder}/$1.$2.err" ]; then cat "{folder}/$1.$2.err" >&2; exit 254; fi
if [ -f "{folder}/$1.$2.out" ]; then cat "{folder}/$1.$2.out"; exit 0; fi
case "$2" in
    get-caller-identity) printf '123456789012\\tarn:aws:iam::123456789012:user/someone\\n' ;;
    get-apis | get-integrations | get-routes | get-authorizers) echo '""' ;;
    get-* | describe-* | list-*)
        printf '\\nAn error occurred (ResourceNotFoundException) when calling the X operation: not there\\n' >&2
        exit 254
        ;;
    create-*) echo made-1 ;;
esac
"""


@dataclass(frozen=True)
class Pretended:
    """The command, what it is to answer, and what it was called with."""

    folder: Path

    def __post_init__(self) -> None:
        program = self.folder / "bin" / "aws"
        program.parent.mkdir()
        program.write_text(_PROGRAM.format(folder=self.folder))
        program.chmod(0o755)
        (self.folder / "package.zip").write_bytes(b"zip")

    def answers(self, call: str, answer: Any) -> None:
        """Let a call such as "lambda get-policy" answer with a text, or a document as JSON."""
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (self.folder / f"{call.replace(' ', '.')}.out").write_text(text + "\n")

    def refuses(self, call: str, code: str, message: str = "no") -> None:
        """Let a call end as the CLI does when the service answers with an error."""
        text = REFUSED.format(code=code, operation="X", message=message)
        (self.folder / f"{call.replace(' ', '.')}.err").write_text(text)

    def sent(self, call: str) -> Any:
        """Return the document of a call, the last one of its name."""
        return json.loads((self.folder / f"{call.replace(' ', '.')}.sent").read_text())

    def calls(self) -> list[str]:
        """Return what it was called with, in order."""
        return (self.folder / "calls").read_text().splitlines()

    def changes(self) -> list[str]:
        """Return service and operation of every call that was no look."""
        calls = [" ".join(line.split()[:2]) for line in self.calls()]
        return [call for call in calls if not call.split()[1].startswith(("get-", "list-", "describe-", "wait"))]

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a person who deploys to it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "HEARTBEAT_"))}
        return kept | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "REGION": "eu-central-1",
            "ROLE_ARN": "arn:aws:iam::123456789012:role/hvac-heartbeat",
            "PACKAGE": str(self.folder / "package.zip"),
            **settings,
        }
