"""What each parameter of template.yaml makes, changes and leaves alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from deployment.package import ROOT
from tests.deployment.parameters import OTHER
from tests.deployment.template import Resolved, of_type

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_OF_A_VERSION = {"FunctionName", "Description", "ReservedConcurrentExecutions"}


def version(resolved: Resolved) -> dict[str, Any]:
    """Return what a version of the function freezes."""
    function = resolved.resources["HeartbeatFunction"]
    return {name: value for name, value in function.items() if name not in NOT_OF_A_VERSION}


def test_whatever_changes_a_version_changes_the_digest_of_the_settings_and_nothing_else_does(
    written: dict[str, Any], resources: dict[str, Any]
) -> None:
    """Else the alias stays where it was, or Lambda refuses to publish a version that is as the last one."""
    assert set(OTHER) == set(written["Parameters"])
    network = {"SubnetIds": "subnet-0", "SecurityGroupIds": "sg-0"}  # only both together say anything
    before = Resolved(written, resources, **network)
    changing = set()
    for name, value in OTHER.items():
        after = Resolved(written, resources, **(network | {name: value}))
        changed = version(before) != version(after)
        assert changed == (before.resources["Settings"] != after.resources["Settings"]), name
        changing |= {name} if changed else set()
    assert {"RoleArn", "Timeout", "DbHost", "SubnetIds", "NewDevices", "LogLevel"} <= changing
    assert not {"Schedule", "HttpApi", "AlarmTopicArn", "FleetSize", "DbResourceId"} & changing


def test_the_digest_is_what_a_version_is_published_for(resources: dict[str, Any]) -> None:
    """A Version's description cannot be changed, so CloudFormation replaces it; the alias follows."""
    ((name, found),) = of_type(resources, "AWS::Lambda::Version").items()
    assert found["Description"] == {"Fn::Sub": "Settings ${Settings.Digest}"}
    assert "${Settings.Digest}" in resources["HeartbeatFunction"]["Properties"]["Description"]["Fn::Sub"]
    (alias,) = of_type(resources, "AWS::Lambda::Alias").values()
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [name, "Version"]}


def test_every_parameter_can_be_left_at_its_default(written: dict[str, Any]) -> None:
    """`sam deploy --guided` asks again and again for what is hidden or has no default."""
    for name, found in written["Parameters"].items():
        assert "Default" in found, name
        assert "NoEcho" not in found, name
        assert re.fullmatch(found.get("AllowedPattern", ".*"), str(found["Default"])), name


def test_every_parameter_is_asked_for_in_a_group(written: dict[str, Any]) -> None:
    groups = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(written["Parameters"])


@pytest.mark.parametrize(
    ("parameter", "made", "attached"),
    [
        (
            "SqsQueue",
            {"HeartbeatQueue", "HeartbeatDeadLetters", "HeartbeatQueuePolicy", "DeadLettersAlarm"},
            "QueueSource",
        ),
        ("KinesisStream", {"HeartbeatStream"}, "StreamSource"),
        ("SnsTopic", {"HeartbeatTopic"}, "TopicSubscription"),
    ],
)
def test_what_exists_is_attached_to_and_not_made(
    written: dict[str, Any], resources: dict[str, Any], parameter: str, made: set[str], attached: str
) -> None:
    arn = OTHER[parameter]
    without, own, existing = (
        Resolved(written, resources, **{parameter: value}).resources for value in ("false", "true", arn)
    )
    assert attached not in without
    assert made <= set(own)
    assert not made & set(existing)
    assert set(own) - made == set(existing)
    names = ("EventSourceArn", "TopicArn")
    assert [existing[attached][name] for name in names if name in existing[attached]] == [arn]


@pytest.mark.parametrize(("parameter", "service"), [("SqsQueue", "sqs"), ("SnsTopic", "sns")])
def test_no_fifo_queue_or_topic_is_taken(written: dict[str, Any], parameter: str, service: str) -> None:
    """A FIFO queue brings ten messages at most and takes no batching window; a FIFO topic calls no function."""
    pattern = written["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, f"arn:aws:{service}:eu-central-1:123456789012:heartbeats")
    assert not re.fullmatch(pattern, f"arn:aws:{service}:eu-central-1:123456789012:heartbeats.fifo")


def test_rights_and_alarms_are_for_the_queue_and_the_stream_that_exist(
    written: dict[str, Any], resources: dict[str, Any]
) -> None:
    chosen = {name: OTHER[name] for name in ("SqsQueue", "KinesisStream", "SourceKmsKeyArn")}
    found = Resolved(written, resources, **chosen).resources
    for policy, parameter in {"queue": "SqsQueue", "stream": "KinesisStream", "source-key": "SourceKmsKeyArn"}.items():
        (right,) = (found["PolicyDocument"] for found in found["Role"]["Policies"] if found["PolicyName"] == policy)
        assert [statement["Resource"] for statement in right["Statement"]] == [OTHER[parameter]]
    assert found["BacklogAlarm"]["Dimensions"] == [{"Name": "QueueName", "Value": "own-queue"}]
    assert found["StreamThrottledAlarm"]["Dimensions"] == [{"Name": "StreamName", "Value": "own-stream"}]


def test_an_event_bus_brings_the_detail_types_that_were_named(
    written: dict[str, Any], resources: dict[str, Any]
) -> None:
    assert "EventRule" not in Resolved(written, resources).resources
    rule = Resolved(written, resources, EventBusName="fleet").resources["EventRule"]
    assert (rule["EventBusName"], rule["EventPattern"]) == ("fleet", {"detail-type": "HVAC Heartbeat"})
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 300


@pytest.mark.parametrize(
    ("http_api", "authorizer", "kind"),
    [("iam", None, "AWS_IAM"), ("jwt", "ApiAuthorizer", "JWT"), ("lambda", "ApiLambdaAuthorizer", "CUSTOM")],
)
def test_one_authorizer_guards_both_routes(
    written: dict[str, Any], resources: dict[str, Any], http_api: str, authorizer: str | None, kind: str
) -> None:
    found = Resolved(written, resources, HttpApi=http_api, AuthorizerArn=OTHER["AuthorizerArn"]).resources
    assert {"ApiAuthorizer", "ApiLambdaAuthorizer"} & set(found) == ({authorizer} if authorizer else set())
    for route in ("HeartbeatRoute", "HealthRoute"):
        assert found[route]["AuthorizationType"] == kind
        assert found[route].get("AuthorizerId") == ({"Ref": authorizer} if authorizer else None)
    assert ("AuthorizerPermission" in found) == (http_api == "lambda")


def test_it_is_said_where_iam_is_chosen_that_a_caller_may_name_any_device(written: dict[str, Any]) -> None:
    said = written["Parameters"]["HttpApi"]["Description"]
    assert "no DeviceClaim" in said
    assert "any device" in said


def test_the_metrics_come_at_every_log_level(written: dict[str, Any], resources: dict[str, Any]) -> None:
    """They are lines of level INFO, which ApplicationLogLevel could filter out, so that one is fixed."""
    for level in written["Parameters"]["LogLevel"]["AllowedValues"]:
        for function in ("HeartbeatFunction", "SweepFunction"):
            logging = Resolved(written, resources, LogLevel=level).resources[function]["LoggingConfig"]
            assert (logging["ApplicationLogLevel"], logging["SystemLogLevel"]) == ("INFO", level)


def test_the_reserved_concurrency_is_the_fleets_or_ones_own_or_none(
    written: dict[str, Any], resources: dict[str, Any]
) -> None:
    reserved = {}
    for given in ("true", "false", "7"):
        found = Resolved(written, resources, ReserveConcurrency=given).resources
        reserved[given] = [
            found[name].get("ReservedConcurrentExecutions") for name in ("HeartbeatFunction", "SweepFunction")
        ]
    assert reserved == {"true": [20, 1], "false": [None, None], "7": ["7", 1]}
    assertion = written["Rules"]["OwnNumberWithoutPollers"]["Assertions"][0]["Assert"]
    assert assertion == {
        "Fn::And": [{"Fn::Equals": [{"Ref": name}, "false"]} for name in ("SqsQueue", "KinesisStream")]
    }


def test_a_gradual_deployment_goes_back_when_an_alarm_rings(
    resources: dict[str, Any], transformed: Callable[..., dict[str, Any]]
) -> None:
    gradual = transformed(GradualDeployment="Canary10Percent5Minutes")["expanded"]["Resources"]
    assert not of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    (group,) = of_type(gradual, "AWS::CodeDeploy::DeploymentGroup").values()
    assert group["DeploymentConfigName"]["Fn::Sub"][1]["ConfigName"] == "Canary10Percent5Minutes"
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    alarms = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    assert alarms == ["ErrorsAlarm", "ThrottlesAlarm", "DurationAlarm"]
    assert "CodeDeployLambdaAliasUpdate" in gradual["HeartbeatFunctionAliaslive"]["UpdatePolicy"]


def test_no_arn_names_a_partition_outright(written: dict[str, Any]) -> None:
    """GovCloud's is aws-us-gov."""
    values = json.dumps({name: written[name] for name in ("Resources", "Outputs", "Conditions")})
    assert "arn:aws" not in values.replace("arn:${AWS::Partition}", "")
    assert "arn:aws:" not in (ROOT / "template.yaml").read_text()
