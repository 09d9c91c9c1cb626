"""The IoT rules and the policies for things: nobody can pose as another device or report for another site."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.deployment.parameters import OTHER
from tests.deployment.template import Resolved, as_list, of_type

SAMPLES = pytest.mark.parametrize("kind", ["Device", "Gateway"])


def rule(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    payload: dict[str, Any] = of_type(resources, "AWS::IoT::TopicRule")[f"{kind}Rule"]["TopicRulePayload"]
    return payload


def topics(resources: dict[str, Any], kind: str) -> tuple[list[str], list[str]]:
    """Return what a thing may connect as, and the topics that it may publish to."""
    connect, publish = of_type(resources, "AWS::IoT::Policy")[f"{kind}Policy"]["PolicyDocument"]["Statement"]
    assert (connect["Action"], publish["Action"]) == ("iot:Connect", "iot:Publish")
    assert connect["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    return [text(found) for found in as_list(connect["Resource"])], [text(found) for found in publish["Resource"]]


def text(resource: dict[str, Any]) -> str:
    found: str = as_list(resource["Fn::Sub"])[0]
    return found.replace("${!", "${")


@SAMPLES
def test_a_rule_is_written_in_the_newer_sql_and_keeps_what_it_cannot_deliver(
    kind: str, resources: dict[str, Any]
) -> None:
    """2015-10-08, the default, reads arrays of one element otherwise."""
    assert rule(resources, kind)["AwsIotSqlVersion"] == "2016-03-23"
    assert "Sqs" in rule(resources, kind)["ErrorAction"]


@pytest.mark.parametrize(("kind", "levels"), [("Device", 4), ("Gateway", 3)])
def test_a_rule_takes_named_columns_and_adds_names_that_no_payload_field_has(
    kind: str, levels: int, resources: dict[str, Any]
) -> None:
    """AWS does not say which of two equal names wins, so nothing that identifies may share a name with the payload."""
    sql = " ".join(rule(resources, kind)["Sql"].split())
    select, topic = re.fullmatch(r"SELECT (.+) FROM '(.+)'", sql).groups()  # type: ignore[union-attr]
    columns = [column.split(" AS ")[-1].strip() for column in select.split(",")]
    assert "*" not in select
    assert len(columns) == len(set(columns))
    assert {"topic_site", "received_at"} <= set(columns)
    assert len(topic.split("/")) == levels


@SAMPLES
@pytest.mark.parametrize("whose", ["the stack's", "existing"])
def test_a_rule_leads_where_the_parameter_says(
    kind: str, whose: str, written: dict[str, Any], resources: dict[str, Any]
) -> None:
    """With the same columns, so that identity and arrival are in the record; a device's records stay in one shard."""
    existing = whose == "existing"
    source = {name: OTHER[name] if existing else "true" for name in ("KinesisStream", "SqsQueue")}
    own_role = {"RoleArn": OTHER["RoleArn"]}
    actions, sql, permissions = {}, set(), {}
    for into in written["Parameters"]["IotInto"]["AllowedValues"]:
        found = Resolved(written, resources, IotRules="true", IotInto=into, **source, **own_role).resources
        payload = found[f"{kind}Rule"]["TopicRulePayload"]
        (actions[into],) = payload["Actions"]
        sql.add(payload["Sql"])
        permissions[into] = f"{kind}RulePermission" in found
    assert len(sql) == 1
    assert permissions == {"function": True, "kinesis": False, "sqs": False}
    url = "https://sqs.${AWS::Region}.${AWS::URLSuffix}/${Account}/${Name}"
    named = {"Account": "123456789012", "Name": "own-queue"}
    assert actions == {
        "function": {"Lambda": {"FunctionArn": {"Ref": "HeartbeatFunctionAliaslive"}}},
        "kinesis": {
            "Kinesis": {
                "StreamName": "own-stream" if existing else {"Ref": "HeartbeatStream"},
                "PartitionKey": "${topic(3)}" if kind == "Device" else "${topic(2)}",
                **own_role,
            }
        },
        "sqs": {
            "Sqs": {
                "QueueUrl": {"Fn::Sub": [url, named]} if existing else {"Ref": "HeartbeatQueue"},
                "UseBase64": False,
                **own_role,
            }
        },
    }


def test_no_rule_leads_to_a_stream_or_queue_that_is_not_there(written: dict[str, Any]) -> None:
    rule = written["Rules"]["IotIntoWhatIsThere"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "IotRules"}, "true"]}
    for entry, (into, source) in zip(
        rule["Assertions"], {"kinesis": "KinesisStream", "sqs": "SqsQueue"}.items(), strict=True
    ):
        other, there = ({"Fn::Equals": pair} for pair in ([{"Ref": "IotInto"}, into], [{"Ref": source}, "false"]))
        assert entry["Assert"] == {"Fn::Or": [{"Fn::Not": [other]}, {"Fn::Not": [there]}]}
        assert entry["AssertDescription"] == f"IotInto={into} needs {source}"


@SAMPLES
def test_a_thing_publishes_as_itself_and_from_the_site_that_its_owner_gave_it(
    kind: str, resources: dict[str, Any]
) -> None:
    (client,), published = topics(resources, kind)
    assert client.endswith(":client/${iot:Connection.Thing.ThingName}")
    assert len(published) == 2, "the topic, and the rule's Basic Ingest topic"
    assert all("hvac/${iot:Connection.Thing.Attributes[site]}/" in topic for topic in published)
    own_name = "/${iot:Connection.Thing.ThingName}/heartbeat"
    assert all(topic.endswith(own_name if kind == "Device" else "/heartbeats") for topic in published)
