"""deploy.sh against the emulator: it creates, changes only what differs, and heartbeats reach the table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.conftest import version_2
from tests.deployment.emulator import ACCOUNT, REGION, Cloud, eventually, post, post_signed
from tests.deployment.script import NAME, PASSWORD, Run, deploy, seen
from tests.skips import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ASIDE = "a-bucket-of-ones-own"


def left(cloud: Cloud) -> tuple[Any, ...]:
    """Return what there is in the account."""
    listed = cloud.aws("cloudformation", "list_stacks")["StackSummaries"]
    return (
        [stack["StackName"] for stack in listed if stack["StackStatus"] != "DELETE_COMPLETE"],
        [bucket["Name"] for bucket in cloud.aws("s3", "list_buckets")["Buckets"]],
        cloud.aws("secretsmanager", "list_secrets")["SecretList"],
        cloud.aws("lambda", "list_functions")["Functions"],
    )


@pytest.fixture(scope="module")
def dry(cloud: Cloud, settings: dict[str, str], checkout: Path) -> Run:
    """A dry run before anything exists."""
    run = deploy(settings, "--dry-run", "--iot", checkout=checkout)
    assert left(cloud) == ([], [], [], [])
    return run


@pytest.fixture(scope="module")
def listed(dry: Run, cloud: Cloud, settings: dict[str, str], checkout: Path) -> Run:
    """A dry run where there is a bucket and nothing else."""
    cloud.aws("s3", "create_bucket", Bucket=ASIDE, CreateBucketConfiguration={"LocationConstraint": REGION})
    run = deploy(settings | {"CODE_BUCKET": ASIDE}, "--dry-run", "--iot", checkout=checkout)
    assert left(cloud) == ([], [ASIDE], [], [])
    cloud.aws("s3", "delete_bucket", Bucket=ASIDE)  # refused for one that is not empty
    return run


@pytest.fixture(scope="module")
def first(listed: Run, settings: dict[str, str], checkout: Path) -> Run:
    """The run that creates everything."""
    return deploy(settings, "--iot", checkout=checkout)


@pytest.fixture(scope="module")
def outputs(first: Run) -> dict[str, str]:
    """What the first run ended with."""
    assert first.code == 0, first.err
    return dict(line.split("\t") for line in first.out.splitlines() if "\t" in line)


def unversioned(said: str) -> str:
    """Leave out what SAM makes of the package's address for the name of a version."""
    return re.sub(r"(?<=HeartbeatFunctionVersion)\w+", "", said)


def test_a_dry_run_says_what_the_first_run_then_does(dry: Run, listed: Run, first: Run) -> None:
    assert [dry.err, listed.err, first.err] == ["", "", ""]
    bucket, package, secret, *parts = first.done
    assert "create Lambda Function HeartbeatFunction" in parts
    without_parts = f"deploy the stack {NAME}; its parts can be listed once there is a bucket"
    assert dry.done == [bucket, package, secret, without_parts]
    said = "\n".join([package.replace(f"hvac-heartbeat-{ACCOUNT}-{REGION}", ASIDE), secret, *parts])
    assert unversioned("\n".join(listed.done)) == unversioned(said)


def test_the_password_is_in_the_secret_and_on_no_command_line(dry: Run, first: Run, cloud: Cloud) -> None:
    held = cloud.aws("secretsmanager", "get_secret_value", SecretId=f"{NAME}/database")["SecretString"]
    assert json.loads(held)["password"] == PASSWORD
    stack = cloud.aws("cloudformation", "describe_stacks", StackName=NAME)
    function = cloud.aws("lambda", "get_function_configuration", FunctionName=NAME)
    lines = cloud.command_lines.read_text()
    assert "create-secret" in lines
    assert PASSWORD not in lines + dry.out + dry.err + first.out + first.err + str([stack, function])


def test_the_bucket_is_private_and_encrypted(first: Run, cloud: Cloud) -> None:
    (bucket,) = (found["Name"] for found in cloud.aws("s3", "list_buckets")["Buckets"])
    access = cloud.aws("s3", "get_public_access_block", Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert access == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    rules = cloud.aws("s3", "get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_a_second_run_changes_nothing(first: Run, cloud: Cloud, settings: dict[str, str], checkout: Path) -> None:
    before = cloud.aws("lambda", "get_function_configuration", FunctionName=NAME)
    second = deploy(settings, "--iot", checkout=checkout)
    assert second.code == 0, second.err
    assert second.done == []
    assert second.out.endswith("nothing to change\n")
    assert cloud.aws("lambda", "get_function_configuration", FunctionName=NAME) == before
    sets = cloud.aws("cloudformation", "list_change_sets", StackName=NAME)["Summaries"]
    assert [found["ExecutionStatus"] for found in sets] == ["EXECUTE_COMPLETE"], "that of the first run"


def test_version_1_of_the_cli_finds_the_same_without_any_setting_but_the_region(
    first: Run, cloud: Cloud, aws_v1: str, settings: dict[str, str], checkout: Path
) -> None:
    """A shell in which nothing is set: the stack keeps what it has."""
    bare = {name: value for name, value in settings.items() if not name.startswith(("DB_", "ARCHITECTURE"))}
    again = deploy(bare | cloud.environment(Path(aws_v1)), "--dry-run", checkout=checkout)
    assert (again.code, again.done, again.err) == (0, [], "")


def test_an_http_request_arrives_in_the_table(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database, tool: Callable[[str, str], str]
) -> None:
    api = outputs["Url"].split("//")[1].split(".")[0]
    url = f"{cloud.address}/_aws/execute-api/{api}/prod/heartbeat"
    body = json.dumps({"device_id": "http-1", "site_id": "building-a", "status": "ready"}).encode()
    status, answer = post_signed(tool("tools", "python"), url, body)
    assert status == 200, answer
    assert json.loads(answer)["updated_devices"] == ["http-1"]
    assert seen(fleet_database, "http-1") == ("building-a", "ready")
    assert post(url, b"{}")[0] == 403, "nobody signed it"


def test_a_publish_over_iot_arrives_in_the_table(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    payload = json.dumps({"device_id": "iot-1", "site_id": "building-a", "status": "degraded"})
    cloud.aws("iot-data", "publish", topic="hvac/building-a/iot-1/heartbeat", payload=payload)
    eventually(lambda: seen(fleet_database, "iot-1") == ("building-a", "degraded"), "the heartbeat over IoT")
    payload = json.dumps({"devices": [{"device_id": f"gw-{n}", "site_id": "building-b"} for n in range(3)]})
    cloud.aws("iot-data", "publish", topic="hvac/building-b/heartbeats", payload=payload)
    eventually(lambda: all(seen(fleet_database, f"gw-{n}") for n in range(3)), "the gateway's batch")


def test_the_schedule_ticks_the_sweep(outputs: dict[str, str], cloud: Cloud) -> None:
    """The emulator looks at its rules every ten seconds, and the first minute begins when the rule was made."""
    eventually(
        lambda: [line for line in cloud.logged(f"{NAME}-sweep") if "fleet_devices" in line], "a tick", within_s=150
    )


def test_one_changed_setting_changes_the_function_and_publishes_it(
    outputs: dict[str, str], cloud: Cloud, settings: dict[str, str], checkout: Path
) -> None:
    before = cloud.aws("lambda", "get_function_configuration", FunctionName=NAME)
    run = deploy(settings | {"MEMORY": "256"}, checkout=checkout)
    assert run.code == 0, run.err
    assert [line for line in run.done if line.startswith("change Lambda Function HeartbeatF") and "MemorySize" in line]
    now = cloud.aws("lambda", "get_function_configuration", FunctionName=NAME, Qualifier="live")
    assert (before["MemorySize"], now["MemorySize"]) == (128, 256)
    assert now["Environment"] == before["Environment"]


def test_version_2_of_the_cli_is_the_one_that_deployed(cloud: Cloud) -> None:
    if version_2() is None:
        skip_or_fail("AWS CLI version 2 is not here", "`apt-get install awscli`, on Debian 12 and later")
    assert cloud.cli == version_2()
