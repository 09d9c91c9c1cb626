"""What the functions of the stack may do, and who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.parameters import OTHER
from tests.deployment.template import Resolved, as_list, of_type, statements

if TYPE_CHECKING:
    from collections.abc import Iterable

# They cannot name one.
ALL_RESOURCES = {
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
}  # fmt: skip

SENDERS = ("IotRole", "ProducerPolicy")


def test_no_policy_names_all_resources_where_one_can_be_named(resources: dict[str, Any]) -> None:
    seen = list(statements(resources))
    assert len(seen) > 12
    for _, entry in seen:
        if entry["Effect"] == "Allow":
            assert all(action != "*" and not action.endswith(":*") for action in as_list(entry["Action"])), entry
            assert entry.get("Principal") != "*", entry
        if "*" in as_list(entry.get("Resource", [])):
            assert set(as_list(entry["Action"])) <= ALL_RESOURCES, entry


def test_a_right_is_granted_only_where_it_is_needed(resources: dict[str, Any]) -> None:
    needed = {
        "ec2": "InVpc", "secretsmanager": "HasSecret", "kms": "HasSecretKey", "rds-db": "HasIamAuth",
        "kinesis": "HasStream", "xray": "Traces",
    }  # fmt: skip
    granted = set()
    of_the_functions = {name: found for name, found in resources.items() if name not in SENDERS}
    for condition, entry in statements(of_the_functions):
        for service in {action.split(":")[0] for action in as_list(entry["Action"])} & set(needed):
            granted.add(service)
            own_key = service == "kms" and entry["Resource"] == {"Ref": "SourceKmsKeyArn"}
            assert condition == ("HasSourceKey" if own_key else needed[service]), entry
    assert granted == set(needed)


def test_messages_may_go_where_a_parameter_leads_them_and_nowhere_else(resources: dict[str, Any]) -> None:
    found = {
        entry["Action"]: (condition, entry["Resource"])
        for condition, entry in statements(resources)
        if entry["Action"] in ("sns:Publish", "events:PutEvents") and "Principal" not in entry
    }
    assert found == {
        "sns:Publish": (
            "HasMessageTopic",
            {"Fn::If": ["MakesMessageTopic", {"Ref": "MessageTopic"}, {"Ref": "MessageTopicArn"}]},
        ),
        "events:PutEvents": (
            "HasMessageBus",
            {
                "Fn::If": [
                    "UsesDefaultBus",
                    {"Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"},
                    {"Ref": "MessageEventBus"},
                ]
            },
        ),
    }
    variables = resources["SweepFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["HEARTBEAT_EVENT_BUS"] == {"Ref": "MessageEventBus"}
    assert "HEARTBEAT_EVENT_BUS" not in resources["HeartbeatFunction"]["Properties"]["Environment"]["Variables"]


@pytest.mark.parametrize("key", ["", OTHER["SourceKmsKeyArn"]])
def test_a_sender_may_write_to_what_it_is_led_to_and_no_more(
    key: str, written: dict[str, Any], resources: dict[str, Any]
) -> None:
    """Without a key of one's own the stream's is AWS's, which lets in whoever may use the stream."""

    def rights(resource: str, *actions: str) -> set[tuple[str, str]]:
        return {(action, resource) for action in actions if resource}

    given = {name: OTHER[name] for name in ("KinesisStream", "SqsQueue")} | {"SourceKmsKeyArn": key}
    stream, queue, _ = given.values()
    into_stream = rights(stream, "kinesis:PutRecord") | rights(key, "kms:GenerateDataKey")
    into_queue = rights(queue, "sqs:SendMessage") | rights(key, "kms:GenerateDataKey", "kms:Decrypt")
    for into, expected in {"function": set(), "kinesis": into_stream, "sqs": into_queue}.items():
        found = Resolved(written, resources, IotRules="true", IotInto=into, **given).resources
        undelivered = rights("UndeliveredQueue", "sqs:SendMessage")
        assert granted(policy["PolicyDocument"] for policy in found["IotRole"]["Policies"]) == expected | undelivered
        assert granted([found["ProducerPolicy"]["PolicyDocument"]]) == into_stream | rights(
            stream, "kinesis:PutRecords"
        )
    assert "ProducerPolicy" not in Resolved(written, resources).resources


def granted(documents: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the pairs of action and resource, the latter by its ARN or by its name in the stack."""
    return {
        (action, entry["Resource"] if isinstance(entry["Resource"], str) else entry["Resource"]["Fn::GetAtt"][0])
        for document in documents
        for entry in document["Statement"]
        for action in as_list(entry["Action"])
    }


def test_every_right_of_the_functions_is_in_the_role_itself(written: dict[str, Any], resources: dict[str, Any]) -> None:
    """A policy beside the role may come after the function, which Lambda then refuses to make (a VPC, a queue)."""
    assert not of_type(resources, "AWS::IAM::Policy")
    for name in ("HeartbeatFunction", "SweepFunction"):
        function = resources[name]["Properties"]
        chosen = {"Fn::If": ["MakesRole", {"Fn::GetAtt": ["Role", "Arn"]}, {"Ref": "RoleArn"}]}
        assert function["Role"] == {"Fn::Sub": ["${Arn}", {"Arn": chosen}]}


def test_no_role_is_made_where_one_is_given(written: dict[str, Any], resources: dict[str, Any]) -> None:
    """Whoever gives one may not be allowed to make any, nor a policy."""
    made = {name for name, found in resources.items() if found["Type"].startswith("AWS::IAM::")}
    assert made == {"Role", *SENDERS}
    switched_on = {"IotRules": "true", "KinesisStream": "true"}
    assert made <= set(Resolved(written, resources, **switched_on).resources)
    assert not made & set(Resolved(written, resources, **switched_on, RoleArn=OTHER["RoleArn"]).resources)


def test_a_database_login_is_for_one_user_of_one_database(resources: dict[str, Any]) -> None:
    (login,) = [entry for _, entry in statements(resources) if entry["Action"] == "rds-db:connect"]
    assert login["Resource"]["Fn::Sub"].endswith(":dbuser:${DbResourceId}/${DbUser}")


def test_every_permission_to_invoke_names_its_source(resources: dict[str, Any]) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert len(permissions) == 7
    assert all("SourceArn" in permission for permission in permissions.values())
