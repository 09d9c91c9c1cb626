"""What the functions of the stack may do, and who may call them."""

from __future__ import annotations

from typing import Any

from tests.deployment.template import as_list, of_type, statements

# They cannot name one.
ALL_RESOURCES = {
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
}  # fmt: skip


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
    for condition, entry in statements(resources):
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


def test_every_right_of_the_functions_is_in_the_role_itself(written: dict[str, Any], resources: dict[str, Any]) -> None:
    """A policy beside the role may come after the function, which Lambda then refuses to make (a VPC, a queue)."""
    assert not of_type(resources, "AWS::IAM::Policy")
    for name in ("HeartbeatFunction", "SweepFunction"):
        function = resources[name]["Properties"]
        chosen = {"Fn::If": ["MakesRole", {"Fn::GetAtt": ["Role", "Arn"]}, {"Ref": "RoleArn"}]}
        assert function["Role"] == {"Fn::Sub": ["${Arn}", {"Arn": chosen}]}


def test_no_role_is_made_where_one_is_given(written: dict[str, Any], resources: dict[str, Any]) -> None:
    conditions = {name: found["Condition"] for name, found in resources.items() if found["Type"] == "AWS::IAM::Role"}
    assert conditions == {"Role": "MakesRole", "IotErrorRole": "MakesIotRole"}
    assert written["Conditions"]["MakesRole"] == {"Fn::Equals": [{"Ref": "RoleArn"}, ""]}
    assert {"Condition": "MakesRole"} in written["Conditions"]["MakesIotRole"]["Fn::And"]


def test_a_database_login_is_for_one_user_of_one_database(resources: dict[str, Any]) -> None:
    (login,) = [entry for _, entry in statements(resources) if entry["Action"] == "rds-db:connect"]
    assert login["Resource"]["Fn::Sub"].endswith(":dbuser:${DbResourceId}/${DbUser}")


def test_every_permission_to_invoke_names_its_source(resources: dict[str, Any]) -> None:
    permissions = of_type(resources, "AWS::Lambda::Permission")
    assert len(permissions) == 7
    assert all("SourceArn" in permission for permission in permissions.values())
