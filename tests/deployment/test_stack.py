"""template.yaml brought up by `sam deploy` on the emulator, with every trigger, and a heartbeat through each of them.

The emulator's CloudFormation refuses alarms with metric math, so these are left out here (cfn-lint and test_template.py
look at them); it runs the functions under its own Python, and it does not enforce the policies that it creates.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.conftest import ARCHITECTURE
from tests.deployment.emulator import eventually
from tests.deployment.script import seen
from tests.deployment.stacks import Stack, database_parameters, emulated, make_bucket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Database
    from tests.deployment.emulator import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STACK = "fleet"


@pytest.fixture(scope="module")
def deployed(cloud: Cloud, tool: Callable[[str, str], str], fleet_database: Database) -> Stack:
    make_bucket(cloud)
    switched_on = dict.fromkeys(("IotRules", "SqsQueue", "KinesisStream", "SnsTopic"), "true")
    parameters = {"FunctionName": STACK, "Architecture": ARCHITECTURE, "IotInto": "kinesis", **switched_on}
    return Stack(STACK, cloud, tool, parameters | database_parameters(fleet_database))


@pytest.fixture(scope="module")
def stack(deployed: Stack, local_package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The stack's outputs by name, once it is CREATE_COMPLETE."""
    return deployed.deploy(emulated(tmp_path_factory.mktemp("stack"), local_package))


def heartbeat(device_id: str) -> str:
    return json.dumps({"device_id": device_id, "site_id": "building-c", "status": "ready"})


def arrives(database: Database, device_id: str) -> None:
    eventually(lambda: seen(database, device_id) == ("building-c", "ready"), f"the heartbeat of {device_id}")


def test_a_direct_call_of_the_alias_is_written(stack: dict[str, str], cloud: Cloud, fleet_database: Database) -> None:
    answer = cloud.aws("lambda", "invoke", FunctionName=stack["FunctionArn"], Payload=heartbeat("direct-1"))
    said = answer["Payload"].read()
    assert "FunctionError" not in answer, said
    assert json.loads(said)["statusCode"] == 200
    assert seen(fleet_database, "direct-1") == ("building-c", "ready")


def test_an_http_request_is_written(stack: dict[str, str], deployed: Stack, fleet_database: Database) -> None:
    status, answer = deployed.post(stack["Url"], heartbeat("stack-http-1"))
    assert status == 200, answer
    assert seen(fleet_database, "stack-http-1") == ("building-c", "ready")


def test_a_queued_message_is_written_and_leaves_the_queue(
    stack: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    cloud.aws("sqs", "send_message", QueueUrl=stack["QueueUrl"], MessageBody=heartbeat("sqs-1"))
    arrives(fleet_database, "sqs-1")

    def waiting() -> list[str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = cloud.aws("sqs", "get_queue_attributes", QueueUrl=stack["QueueUrl"], AttributeNames=names)
        return list(answer["Attributes"].values())

    eventually(lambda: waiting() == ["0", "0"], "the message's removal")


def test_a_bad_message_stays_for_the_redrive_and_its_neighbours_do_not(
    stack: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    """ReportBatchItemFailures at work: the refused message goes back alone."""
    for body in (heartbeat("sqs-2"), '{"device_id": ""}', heartbeat("sqs-3")):
        cloud.aws("sqs", "send_message", QueueUrl=stack["QueueUrl"], MessageBody=body)
    arrives(fleet_database, "sqs-2")
    arrives(fleet_database, "sqs-3")

    def hidden() -> Any:
        name = "ApproximateNumberOfMessagesNotVisible"
        answer = cloud.aws("sqs", "get_queue_attributes", QueueUrl=stack["QueueUrl"], AttributeNames=[name])
        return answer["Attributes"][name] == "1"

    eventually(hidden, "the bad message's wait for its next receipt")


def test_a_stream_record_is_written(stack: dict[str, str], cloud: Cloud, fleet_database: Database) -> None:
    record = heartbeat("kinesis-1")
    cloud.aws("kinesis", "put_record", StreamName=stack["StreamName"], PartitionKey="kinesis-1", Data=record)
    arrives(fleet_database, "kinesis-1")


def test_a_notification_is_written(stack: dict[str, str], cloud: Cloud, fleet_database: Database) -> None:
    cloud.aws("sns", "publish", TopicArn=stack["TopicArn"], Message=heartbeat("sns-1"))
    arrives(fleet_database, "sns-1")


def test_what_the_rule_makes_of_a_publish_is_written_through_the_stream(
    stack: dict[str, str], cloud: Cloud, fleet_database: Database
) -> None:
    """The emulator's rules know no action for Kinesis, so the rule's record is carried to the stream by hand."""
    rule = cloud.aws("iot", "get_topic_rule", ruleName=f"{STACK}_device")["rule"]
    (action,) = rule["actions"]
    assert action["kinesis"]["streamName"] == stack["StreamName"]
    assert action["kinesis"]["partitionKey"] == "${topic(3)}"
    url = cloud.aws("sqs", "create_queue", QueueName="carried")["QueueUrl"]
    carrier = {"sql": rule["sql"], "awsIotSqlVersion": rule["awsIotSqlVersion"]}
    into_queue = {"sqs": {"queueUrl": url, "roleArn": action["kinesis"]["roleArn"], "useBase64": False}}
    cloud.aws("iot", "create_topic_rule", ruleName="carrier", topicRulePayload=carrier | {"actions": [into_queue]})
    payload = json.dumps({"device_id": "someone-else", "site_id": "elsewhere", "status": "ready"})
    cloud.aws("iot-data", "publish", topic="hvac/building-c/iot-3/heartbeat", payload=payload)
    (message,) = cloud.aws("sqs", "receive_message", QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    cloud.aws("iot", "delete_topic_rule", ruleName="carrier")
    cloud.aws("kinesis", "put_record", StreamName=stack["StreamName"], PartitionKey="iot-3", Data=message["Body"])
    arrives(fleet_database, "iot-3")
    assert seen(fleet_database, "someone-else") is None


def test_a_tick_runs_the_sweep_in_a_function_of_its_own(stack: dict[str, str], cloud: Cloud) -> None:
    """The tick itself is proven by test_deploy_script.py; here it is what the sweep writes that alarms read."""
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": "2026-01-01T00:00:00Z"}
    answer = cloud.aws("lambda", "invoke", FunctionName=f"{STACK}-sweep", Payload=json.dumps(event))
    assert "FunctionError" not in answer, answer["Payload"].read()

    def swept() -> list[dict[str, Any]]:
        return [line for line in cloud.logged(f"{STACK}-sweep") if "stale_devices" in line]

    eventually(swept, "the sweep's metric record")
    assert {"fleet_devices", "stale_devices"} <= swept()[0].keys()
    assert swept()[0]["function_name"] == f"{STACK}-sweep"


def test_the_mappings_of_the_stack_are_as_the_template_says(stack: dict[str, str], cloud: Cloud) -> None:
    mappings = cloud.aws("lambda", "list_event_source_mappings")["EventSourceMappings"]
    assert {mapping["EventSourceArn"].split(":")[2] for mapping in mappings} == {"sqs", "kinesis"}
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings)
    assert all(mapping["FunctionArn"].endswith(f":function:{STACK}:live") for mapping in mappings)
