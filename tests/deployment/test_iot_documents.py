"""The IoT rules and the policies for things: the same from the stack and from the script, and nobody can pose."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deployment.sources import rule, thing_policy
from tests.deployment.template import as_list, of_type


@pytest.mark.parametrize("kind", ["device", "gateway"])
def test_stack_and_script_install_the_same_iot_rule(kind: str, resources: dict[str, Any]) -> None:
    payload = of_type(resources, "AWS::IoT::TopicRule")[f"{kind.title()}Rule"]["TopicRulePayload"]
    scripted = rule(kind, "arn", {}, {})
    assert " ".join(payload["Sql"].split()) == scripted["sql"]
    assert payload["AwsIotSqlVersion"] == scripted["awsIotSqlVersion"] == "2016-03-23"
    assert "Sqs" in payload["ErrorAction"]


@pytest.mark.parametrize("kind", ["device", "gateway"])
def test_stack_and_script_install_the_same_policy_for_things(kind: str, resources: dict[str, Any]) -> None:
    document = of_type(resources, "AWS::IoT::Policy")[f"{kind.title()}Policy"]["PolicyDocument"]
    names = {"${AWS::Partition}": "aws", "${AWS::Region}": "r", "${AWS::AccountId}": "1", "${Rule}": f"N_{kind}"}

    def resolve(value: Any) -> Any:
        if isinstance(value, dict) and "Fn::Sub" in value:
            text: str = as_list(value["Fn::Sub"])[0]
            for name, stands_for in names.items():
                text = text.replace(name, stands_for)
            return text.replace("${!", "${")
        if isinstance(value, dict):
            return {key: resolve(below) for key, below in value.items()}
        return [resolve(below) for below in value] if isinstance(value, list) else value

    assert resolve(document) == thing_policy(kind, "aws", "r", "1", "N")


def test_a_rule_takes_named_columns_and_adds_names_that_no_payload_field_has() -> None:
    """AWS does not say which of two equal names wins, so nothing that identifies may share a name with the payload."""
    for kind, levels in (("device", 4), ("gateway", 3)):
        sql = rule(kind, "arn", {}, {})["sql"]
        select, topic = re.fullmatch(r"SELECT (.+) FROM '(.+)'", sql).groups()  # type: ignore[union-attr]
        columns = [column.split(" AS ")[-1].strip() for column in select.split(",")]
        assert "*" not in select
        assert len(columns) == len(set(columns))
        assert {"topic_site", "received_at"} <= set(columns)
        assert len(topic.split("/")) == levels


@pytest.mark.parametrize("kind", ["device", "gateway"])
def test_a_thing_publishes_as_itself_and_from_the_site_that_its_owner_gave_it(kind: str) -> None:
    connect, publish = thing_policy(kind, "aws", "eu-central-1", "1", "N")["Statement"]
    assert connect["Resource"].endswith(":client/${iot:Connection.Thing.ThingName}")
    assert all("hvac/${iot:Connection.Thing.Attributes[site]}/" in topic for topic in publish["Resource"])
    own_name = "/${iot:Connection.Thing.ThingName}/heartbeat"
    assert all(topic.endswith(own_name if kind == "device" else "/heartbeats") for topic in publish["Resource"])
