"""deploy.sh where something is missing or refused: one line that says what to do, and no secret in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.deployment.script import PASSWORD, deploy

if TYPE_CHECKING:
    from tests.deployment.emulator import Cloud

BROKEN = {
    "no region": ({"REGION": "", "AWS_DEFAULT_REGION": "", "AWS_REGION": ""}, "set REGION"),
    "no role for a new function": ({"ROLE_ARN": ""}, "set ROLE_ARN"),
    "two credentials": ({"DB_SECRET_ARN": "arn:aws:secretsmanager:x"}, "unset all but one"),
    "a subnet without a security group": ({"SUBNET_IDS": "subnet-1"}, "set both or neither"),
    "memory that is no number": ({"MEMORY": "lots"}, "MEMORY is to be a whole number"),
    "a timeout that Lambda does not have": ({"TIMEOUT": "1000"}, "from 1 to 900"),
    "a processor that Lambda does not have": ({"ARCHITECTURE": "amd64"}, "arm64 or x86_64"),
    "an event that is not there": ({"SCHEDULE_INPUT": "/nowhere.json"}, "SCHEDULE_INPUT is to be a file"),
    "an event that is no JSON": ({"SCHEDULE_INPUT": __file__}, "an event in JSON"),
    "a role for errors without its queue": ({"IOT_ERROR_ROLE_ARN": "arn"}, "set both or neither"),
    "an authorization that is none": ({"API_AUTH": "token"}, "iam or jwt"),
    "a package that is not there": ({"PACKAGE": "/nowhere.zip"}, "run 'make package'"),
    "no credentials of AWS": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "aws configure"),
    "a name that no queue could have": ({"FUNCTION_NAME": "Fleet_1"}, "small letters"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_missing_or_contradictory_is_one_line_that_says_what_to_do(case: str, settings: dict[str, str]) -> None:
    changed, advice = BROKEN[case]
    run = deploy(
        settings | {"FUNCTION_NAME": "broken", "AWS_EC2_METADATA_DISABLED": "true", "HOME": os.devnull} | changed
    )
    assert run.code == (1 if case == "no credentials of AWS" else 2)
    assert run.err.startswith("deploy: ")
    assert run.err.count("\n") == 1, run.err
    assert advice in run.err
    assert PASSWORD not in run.out + run.err


def test_an_answer_of_aws_that_refuses_is_one_line_that_says_what_to_do(settings: dict[str, str], cloud: Cloud) -> None:
    """A CLI that is refused, as with credentials that may look at nothing."""
    shim = cloud.folder / "refused" / "aws"
    shim.parent.mkdir()
    shim.write_text(
        "#!/bin/sh\ncase \"$*\" in sts*) echo '000000000000\tarn:aws:iam::000000000000:user/x';; *) printf '\\n"
        "An error occurred (AccessDeniedException) when calling the GetFunctionConfiguration operation: not allowed\\n'"
        " >&2; exit 254;; esac\n"
    )
    shim.chmod(0o755)
    run = deploy(settings | {"PATH": f"{shim.parent}:{os.environ['PATH']}", "FUNCTION_NAME": "refused"})
    assert run.code == 1
    assert run.err == (
        "deploy: failed looking at the function: AccessDeniedException: not allowed; "
        "your credentials lack that permission; docs/deploy.md lists what deploying needs\n"
    )


def test_tokens_instead_of_signatures_are_an_authorizer_and_two_routes(settings: dict[str, str]) -> None:
    """Seen without an account: a dry run that has no credentials shows what an empty account would get."""
    token = {"API_AUTH": "jwt", "JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "fleet"}
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    run = deploy(settings | nobody | token | {"HOME": os.devnull}, "--dry-run", "--api")
    assert run.code == 0, run.err
    assert "no credentials" in run.out
    assert {
        "accept tokens of https://issuer.example for fleet",
        "route POST /heartbeat (JWT)",
        "route GET /health (JWT)",
    } < set(run.done)
    refused = deploy(settings | nobody | token | {"HOME": os.devnull, "JWT_ISSUER": ""}, "--dry-run", "--api")
    assert (refused.code, refused.err) == (2, "deploy: API_AUTH=jwt needs JWT_ISSUER and JWT_AUDIENCE\n")


def test_an_unknown_option_is_refused_before_anything_is_looked_at(settings: dict[str, str]) -> None:
    run = deploy(settings, "--sqs")
    assert (run.code, run.out) == (2, "")
    assert "--sqs is no option" in run.err
