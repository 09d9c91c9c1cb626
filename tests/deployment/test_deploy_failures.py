"""deploy.sh where AWS refuses or fails: one line that says what to do, no secret in it, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from deployment.package import ROOT
from tests.deployment.fake_aws_cli import PASSWORD, FakeAws
from tests.deployment.script import NAME, deploy

if TYPE_CHECKING:
    from pathlib import Path

NEW = (
    "s3api head-bucket", "s3api create-bucket", "s3api put-public-access-block", "s3api put-bucket-encryption",
    "s3api head-object", "s3api put-object", "secretsmanager describe-secret", "secretsmanager create-secret",
    "cloudformation describe-stacks", "cloudformation create-change-set", "cloudformation describe-change-set",
    "cloudformation execute-change-set",
)  # fmt: skip
# How CloudFormation is asked what would change, and how that is forgotten.
ASKED = ("s3api put-object", "cloudformation create-change-set")
FORGOTTEN = "s3api delete-object"
TIDYING = {"cloudformation delete-stack", "cloudformation delete-change-set", FORGOTTEN}


@pytest.fixture
def aws(tmp_path: Path) -> FakeAws:
    return FakeAws(tmp_path)


@pytest.mark.parametrize("call", NEW)
def test_a_call_that_is_refused_ends_the_run_with_one_line(aws: FakeAws, call: str) -> None:
    aws.refuses(call, "AccessDenied", "User: someone is not authorized to perform this")
    run = deploy(aws.environment())
    assert run.code == 1, run.out
    assert run.err.startswith("deploy: failed ")
    assert run.err.endswith("your credentials lack that right; docs/deploy.md lists what deploying needs\n")
    assert run.err.count("\n") == 1, run.err
    assert PASSWORD not in run.out + run.err
    calls = [" ".join(line.split()[:2]) for line in aws.calls()]
    after = calls[calls.index(call) + 1 :]
    assert set(after) <= TIDYING | {"cloudformation describe-stacks"}, "nothing is changed after it"


def test_the_reading_of_a_secret_that_is_refused_is_not_an_empty_secret(aws: FakeAws) -> None:
    aws.answers("secretsmanager describe-secret", "arn:there")
    aws.refuses("secretsmanager get-secret-value", "AccessDeniedException", "no kms:Decrypt")
    assert deploy(aws.environment()).code == 1
    assert aws.changes() == []


def test_a_bucket_that_somebody_else_has_is_not_used(aws: FakeAws) -> None:
    """Its owner could put code of theirs in the place of ours."""
    aws.refuses("s3api head-bucket", "403", "Forbidden")
    run = deploy(aws.environment())
    assert (run.code, aws.changes()) == (1, [])
    assert "hvac-heartbeat-123456789012-eu-central-1" in run.err
    assert all("--expected-bucket-owner 123456789012" in call for call in aws.calls() if "head-bucket" in call)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("X", "Unable to locate credentials", "run 'aws configure'"),
        ("ExpiredToken", "The security token is no good", "sign in again"),
        ("InvalidClientTokenId", "The security token is no good", "sign in again"),
    ],
)
def test_credentials_that_are_missing_or_no_good_are_told_as_that(
    aws: FakeAws, code: str, message: str, advice: str
) -> None:
    aws.refuses("sts get-caller-identity", code, message)
    run = deploy(aws.environment(), "--dry-run")
    assert (run.code, aws.changes()) == (1, [])
    assert run.err.count("\n") == 1
    assert advice in run.err


def test_without_the_aws_cli_it_says_how_to_get_it(aws: FakeAws, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "mktemp", "tr", "sed", "cut", "rm", "cat"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    run = deploy(aws.environment(PATH=str(tools)))
    assert run.code == 1
    assert run.err.endswith("install the AWS CLI (pip install awscli, or version 2 from AWS)\n")


def test_a_dry_run_without_a_bucket_makes_none_and_changes_nothing(aws: FakeAws) -> None:
    run = deploy(aws.environment(), "--dry-run")
    assert run.code == 0, run.err
    assert aws.changes() == []
    assert run.out.splitlines()[1:] == [
        "would make the bucket hvac-heartbeat-123456789012-eu-central-1, private and encrypted",
        "would put the package into hvac-heartbeat-123456789012-eu-central-1, 3 bytes",
        "would keep DB_PASSWORD in the secret hvac-heartbeat-updater/database",
        "would deploy the stack hvac-heartbeat-updater; its parts can be listed once there is a bucket",
        "changes to make: 4; run it without --dry-run",
    ]


def test_a_dry_run_leaves_no_stack_no_change_set_and_no_template(aws: FakeAws) -> None:
    aws.answers("s3api head-bucket", "")
    run = deploy(aws.environment(), "--dry-run")
    assert run.code == 0, run.err
    assert aws.changes() == [*ASKED, "cloudformation delete-stack", FORGOTTEN]
    assert run.out.splitlines()[1:] == [
        "would put the package into hvac-heartbeat-123456789012-eu-central-1, 3 bytes",
        "would keep DB_PASSWORD in the secret hvac-heartbeat-updater/database",
        "would change Lambda Function HeartbeatFunction: Environment, Timeout",
        "changes to make: 3; run it without --dry-run",
    ]


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_a_dry_run_never_removes_a_stack_that_was_there(aws: FakeAws, status: str) -> None:
    """REVIEW_IN_PROGRESS: somebody looks at a change set of theirs."""
    aws.answers("s3api head-bucket", "")
    aws.has_stack({}, status=status)
    run = deploy(aws.environment(), "--dry-run")
    assert run.code == 0, run.err
    assert aws.changes() == [*ASKED, "cloudformation delete-change-set", FORGOTTEN]
    kind = "UPDATE" if status == "UPDATE_COMPLETE" else "CREATE"
    assert any(f"--change-set-type {kind}" in call for call in aws.calls())


def test_a_change_set_without_changes_is_nothing_to_change(aws: FakeAws) -> None:
    aws.has_stack({})
    aws.answers("s3api head-bucket", "")
    aws.answers("s3api head-object", "{}")
    why = "The submitted information didn't contain changes. Submit different information to create a change set."
    aws.answers("cloudformation describe-change-set", "CREATE_PENDING\tNone", f"FAILED\t{why}")
    run = deploy(
        aws.environment(DB_PASSWORD="", DB_SECRET_ARN="arn:aws:secretsmanager:eu-central-1:123456789012:secret:x")
    )
    assert (run.code, run.err, run.out.splitlines()[-1]) == (0, "", "nothing to change")
    assert aws.changes() == [*ASKED, "cloudformation delete-change-set", FORGOTTEN]


def test_a_change_set_that_cloudformation_refuses_is_told_with_its_reason(aws: FakeAws) -> None:
    aws.has_stack({})
    aws.answers("cloudformation describe-change-set", "FAILED\tRule VpcNeedsBoth: SubnetIds needs SecurityGroupIds")
    run = deploy(aws.environment(SUBNET_IDS="subnet-1"))
    assert run.code == 1
    assert run.err == "deploy: CloudFormation refuses that: Rule VpcNeedsBoth: SubnetIds needs SecurityGroupIds\n"
    assert aws.changes()[-2:] == ["cloudformation delete-change-set", FORGOTTEN]


def test_a_deployment_that_fails_is_told_with_the_first_resource_that_failed(aws: FakeAws) -> None:
    """CloudFormation tells the newest first, and cancels the others once one has failed."""
    aws.has_stack({}, "UPDATE_IN_PROGRESS\tNone", "UPDATE_ROLLBACK_COMPLETE\tNone")
    events = "Api\tResource update cancelled\nRole\tRole with name x already exists"
    aws.answers("cloudformation describe-stack-events", events)
    run = deploy(aws.environment())
    assert run.code == 1
    assert run.err == (
        "deploy: the stack could not be deployed (UPDATE_ROLLBACK_COMPLETE): Role Role with name x already exists; "
        "mend that and run this again\n"
    )
    assert TIDYING & set(aws.changes()) == {FORGOTTEN}, "an executed change set is not removed"


def test_what_a_first_try_left_is_told_with_the_command_that_removes_it(aws: FakeAws) -> None:
    aws.has_stack({}, status="ROLLBACK_COMPLETE")
    why = "Stack:arn:x is in ROLLBACK_COMPLETE state and can not be updated."
    aws.refuses("cloudformation create-change-set", "ValidationError", why)
    run = deploy(aws.environment())
    assert run.code == 1
    command = f"aws cloudformation delete-stack --region eu-central-1 --stack-name {NAME}"
    assert run.err.endswith(f"remove what a first try left: {command}\n")


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [("eu-central-1", "s3.eu-central-1.amazonaws.com"), ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn")],
)
def test_the_template_goes_through_the_bucket_with_the_package_in_it(aws: FakeAws, region: str, endpoint: str) -> None:
    """A call takes 51,200 bytes of it, a bucket 1 MB (CloudFormation quotas)."""
    run = deploy(aws.environment(CODE_BUCKET="mine", REGION=region))
    assert run.code == 0, run.err
    sent = aws.sent("template.yaml")
    assert sent.count(f"CodeUri: s3://mine/{NAME}/") == 2
    assert "dist/" not in sent
    (asked,) = (call for call in aws.calls() if call.startswith("cloudformation create-change-set"))
    address = asked.split("--template-url ")[1].split()[0]
    assert address.startswith(f"https://{endpoint}/mine/")
    key = address.partition("/mine/")[2]
    assert [call.split()[1] for call in aws.calls() if f"--key {key}" in call] == ["put-object", "delete-object"]


def test_a_template_that_cannot_be_removed_is_told_and_the_deployment_is_good_all_the_same(aws: FakeAws) -> None:
    aws.refuses(FORGOTTEN, "AccessDenied", "not authorized to perform: s3:DeleteObject")
    run = deploy(aws.environment())
    assert run.code == 0
    assert run.err.startswith(f"deploy: s3://hvac-heartbeat-123456789012-eu-central-1/{NAME}/deploy-")
    assert run.err.endswith("not authorized to perform: s3:DeleteObject; remove it yourself\n")
    assert run.err.count("\n") == 1


def test_a_change_set_that_cannot_be_removed_is_told_and_no_password_stays_on_disk(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.answers("s3api head-bucket", "")
    aws.refuses("cloudformation delete-stack", "AccessDenied", "not authorized")
    run = deploy(aws.environment(TMPDIR=str(tmp_path / "bin")), "--dry-run")
    assert run.code == 1
    assert run.err.startswith("deploy: failed to remove what the change set made: AccessDenied")
    texts = [file.read_text() for file in (tmp_path / "bin").rglob("*") if file.is_file()]
    assert not [text for text in texts if PASSWORD in text]


def test_standard_input_is_left_alone(aws: FakeAws) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{ROOT / 'deploy.sh'} --dry-run >{os.devnull} && cat"],
        env=aws.environment(), input="still here", check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stdout == "still here"
