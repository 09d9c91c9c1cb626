"""A stack that makes no topic, queue, stream, bus or role, and attaches to those that are there."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.conftest import ARCHITECTURE, LOCAL_PYTHON
from tests.deployment.emulator import ACCOUNT, eventually, post
from tests.deployment.script import seen
from tests.deployment.stacks import Stack, database_parameters, emulated, make_bucket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Database
    from tests.deployment.emulator import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "attached"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/of-our-own"
AUTHORIZER = """
def handler(event, context):
    device = event["headers"].get("authorization", "").removeprefix("Device ")
    return {"isAuthorized": bool(device), "context": {"deviceId": device}}
"""


@pytest.fixture(scope="module")
def existing(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What somebody made before, as parameters of the stack."""
    package = tmp_path_factory.mktemp("authorizer") / "authorizer.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("authorizer.py", AUTHORIZER)
    authorizer = cloud.aws(
        "lambda", "create_function", FunctionName="authorizer", Runtime=f"python{LOCAL_PYTHON}", Role=ROLE,
        Handler="authorizer.handler", Code={"ZipFile": package.read_bytes()},
    )  # fmt: skip
    topic = cloud.aws("sns", "create_topic", Name="old-topic")["TopicArn"]
    url = cloud.aws("sqs", "create_queue", QueueName="old-queue")["QueueUrl"]
    queue = cloud.aws("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    cloud.aws("kinesis", "create_stream", StreamName="old-stream", ShardCount=1)
    stream = cloud.aws("kinesis", "describe_stream_summary", StreamName="old-stream")
    cloud.aws("events", "create_event_bus", Name="old-bus")
    return {
        "AuthorizerArn": authorizer["FunctionArn"],
        "SnsTopic": topic,
        "SqsQueue": queue["Attributes"]["QueueArn"],
        "KinesisStream": stream["StreamDescriptionSummary"]["StreamARN"],
        "EventBusName": "old-bus",
    }


@pytest.fixture(scope="module")
def outputs(
    cloud: Cloud,
    tool: Callable[[str, str], str],
    existing: dict[str, str],
    local_package: Path,
    fleet_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The outputs of the stack that is attached to all of it."""
    make_bucket(cloud)
    named = {"FunctionName": NAME, "Architecture": ARCHITECTURE, "RoleArn": ROLE}
    chosen = {"HttpApi": "lambda", "DeviceClaim": "lambda.deviceId", "IotRules": "true", "IotInto": "sqs"}
    stack = Stack(NAME, cloud, tool, named | chosen | existing | database_parameters(fleet_database))
    return stack.deploy(emulated(tmp_path_factory.mktemp("stack"), local_package))


def heartbeat(device_id: str) -> str:
    return json.dumps({"device_id": device_id, "site_id": "building-a", "status": "ready"})


def arrives(database: Database, device_id: str) -> None:
    eventually(lambda: seen(database, device_id) == ("building-a", "ready"), f"the heartbeat of {device_id}")


def test_nothing_is_made_that_is_there(outputs: dict[str, str], cloud: Cloud) -> None:
    assert not {"QueueUrl", "StreamName", "TopicArn"} & set(outputs)
    made = cloud.aws("cloudformation", "list_stack_resources", StackName=NAME)["StackResourceSummaries"]
    kinds = {resource["ResourceType"] for resource in made}
    assert not {"AWS::Kinesis::Stream", "AWS::SNS::Topic", "AWS::Events::EventBus", "AWS::IAM::Role"} & kinds
    queues = [resource["LogicalResourceId"] for resource in made if resource["ResourceType"] == "AWS::SQS::Queue"]
    assert queues == ["UndeliveredQueue"]


def test_the_functions_have_the_role_that_was_given(outputs: dict[str, str], cloud: Cloud) -> None:
    for name in (NAME, f"{NAME}-sweep"):
        assert cloud.aws("lambda", "get_function_configuration", FunctionName=name)["Role"] == ROLE


def test_a_message_of_the_queue_that_was_there_is_written(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    url = cloud.aws("sqs", "get_queue_url", QueueName="old-queue")["QueueUrl"]
    cloud.aws("sqs", "send_message", QueueUrl=url, MessageBody=heartbeat("old-queue-1"))
    arrives(fleet_database, "old-queue-1")


def test_the_topic_and_not_the_payload_says_which_device_and_site(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    """Through the queue that was there: rule, queue, function, row; whatever a device writes into its payload."""
    identity = {"device_id": "someone-else", "site_id": "elsewhere"}
    lie = {"topic_device": "someone-else", "topic_site": "elsewhere", "received_at": 4_000_000_000}
    status = {"status": "ready"}
    cloud.aws(
        "iot-data", "publish", topic="hvac/building-a/iot-1/heartbeat", payload=json.dumps(identity | lie | status)
    )
    devices = [{"device_id": "iot-2", "site_id": "elsewhere"} | status]
    cloud.aws("iot-data", "publish", topic="hvac/building-a/heartbeats", payload=json.dumps({"devices": devices} | lie))
    arrives(fleet_database, "iot-1")
    arrives(fleet_database, "iot-2")
    assert seen(fleet_database, "someone-else") is None


def test_a_record_of_the_stream_that_was_there_is_written(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    record = heartbeat("old-stream-1")
    cloud.aws("kinesis", "put_record", StreamName="old-stream", PartitionKey="old-stream-1", Data=record)
    arrives(fleet_database, "old-stream-1")


def test_a_notification_of_the_topic_that_was_there_is_written(
    outputs: dict[str, str], cloud: Cloud, existing: dict[str, str], fleet_database: Database
) -> None:
    cloud.aws("sns", "publish", TopicArn=existing["SnsTopic"], Message=heartbeat("old-topic-1"))
    arrives(fleet_database, "old-topic-1")


def test_an_event_of_the_bus_that_was_there_is_written(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    entry: dict[str, Any] = {"Source": "gateways", "EventBusName": "old-bus"}
    for kind, device in (("HVAC Heartbeat", "old-bus-1"), ("Something Else", "old-bus-2")):
        entry |= {"DetailType": kind, "Detail": heartbeat(device)}
        assert cloud.aws("events", "put_events", Entries=[entry])["FailedEntryCount"] == 0
    arrives(fleet_database, "old-bus-1")
    assert seen(fleet_database, "old-bus-2") is None


def test_a_lambda_authorizer_says_which_device_is_calling(
    outputs: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    api = outputs["Url"].split("//")[1].split(".", maxsplit=1)[0]
    url = f"{cloud.address}/_aws/execute-api/{api}/prod/heartbeat"
    body = heartbeat("authorized-1").encode()
    statuses = [post(url, body, headers)[0] for headers in ({}, {"Authorization": "Device somebody-else"})]
    assert statuses == [401, 403]
    assert seen(fleet_database, "authorized-1") is None
    assert post(url, body, {"Authorization": "Device authorized-1"})[0] == 200
    assert seen(fleet_database, "authorized-1") == ("building-a", "ready")
