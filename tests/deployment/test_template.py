"""template.yaml, read as CloudFormation will read it: after the SAM transform, with every condition's branches."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from deployment import variables
from deployment.package import ROOT
from hvac_heartbeat.aws.triggers.batches import Sqs
from tests.deployment.script import NAME
from tests.deployment.template import of_type


def test_every_queue_and_stream_reports_single_failures(resources: dict[str, Any]) -> None:
    """Without it Lambda takes an answer that names failed items for a success of the whole batch."""
    sources = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert set(sources) == {"QueueSource", "StreamSource"}
    assert all(source["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for source in sources.values())


def test_every_queue_redrives_or_is_where_things_end(resources: dict[str, Any]) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    redriving = {name for name, queue in queues.items() if "RedrivePolicy" in queue}
    assert redriving == {"HeartbeatQueue"}
    assert queues["HeartbeatQueue"]["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["HeartbeatDeadLetters", "Arn"]
    }
    for name in set(queues) - redriving:
        assert queues[name]["MessageRetentionPeriod"] == 14 * 86400, "evidence stays as long as SQS allows"
        assert queues[name]["RedriveAllowPolicy"]["redrivePermission"] in {"denyAll", "byQueue"}
    subscription = of_type(resources, "AWS::SNS::Subscription")["TopicSubscription"]
    assert subscription["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}


def test_a_message_is_hidden_for_six_times_the_timeout_and_comes_back_for_half_an_hour(
    written: dict[str, Any], resources: dict[str, Any]
) -> None:
    """Lambda Developer Guide, "Using Lambda with Amazon SQS", which asks for five receipts at least too."""
    timeouts = written["Mappings"]["Timeout"]
    assert list(timeouts) == [str(timeout) for timeout in written["Parameters"]["Timeout"]["AllowedValues"]]
    window = resources["QueueSource"]["Properties"]["MaximumBatchingWindowInSeconds"]
    for timeout, row in timeouts.items():
        assert row["Hidden"] >= 6 * int(timeout) + window
        assert row["Hidden"] * row["Receipts"] >= 30 * 60
        assert row["Receipts"] >= 5
    queue = resources["HeartbeatQueue"]["Properties"]
    assert queue["VisibilityTimeout"] == {"Fn::FindInMap": ["Timeout", {"Ref": "Timeout"}, "Hidden"]}
    assert queue["RedrivePolicy"]["maxReceiveCount"] == {"Fn::FindInMap": ["Timeout", {"Ref": "Timeout"}, "Receipts"]}


def test_it_has_the_documented_timeout_and_memory(written: dict[str, Any]) -> None:
    parameters = written["Parameters"]
    assert (parameters["Timeout"]["Default"], parameters["MemorySize"]["Default"]) == (30, 128)


def test_the_queues_never_use_more_than_is_reserved(written: dict[str, Any], resources: dict[str, Any]) -> None:
    """Else Lambda throttles the poller, and messages run through their receipts into the dead-letter queue."""
    sizes = written["Mappings"]["Fleet"]
    assert list(sizes) == written["Parameters"]["FleetSize"]["AllowedValues"]
    for size, row in sizes.items():
        assert row["Queue"] + row["Shards"] <= row["Reserved"], size
        assert row["Queue"] >= 2, "the least that SQS allows"
    sources = of_type(resources, "AWS::Lambda::EventSourceMapping")
    row_of = {"Fn::FindInMap": ["Fleet", {"Ref": "FleetSize"}, "Queue"]}
    assert sources["QueueSource"]["ScalingConfig"] == {"MaximumConcurrency": row_of}
    assert "ParallelizationFactor" not in sources["StreamSource"], "one reader a shard"


def test_a_stream_grows_by_itself(resources: dict[str, Any]) -> None:
    """UpdateShardCount at most doubles, so a count for each fleet size could not be deployed over another."""
    (stream,) = of_type(resources, "AWS::Kinesis::Stream").values()
    assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert "ShardCount" not in stream


def test_no_flood_of_heartbeats_starves_the_sweep(resources: dict[str, Any]) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert functions["SweepFunction"]["ReservedConcurrentExecutions"]["Fn::If"][1] == 1
    (target,) = of_type(resources, "AWS::Events::Rule")["SweepSchedule"]["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["SweepFunction", "Arn"]}


def test_a_poisoned_or_lost_stream_batch_is_halved_and_ends_in_the_undelivered_queue(resources: dict[str, Any]) -> None:
    source = of_type(resources, "AWS::Lambda::EventSourceMapping")["StreamSource"]
    assert source["BisectBatchOnFunctionError"] is True
    assert source["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}
    assert source["MaximumRecordAgeInSeconds"] == 3600


def test_an_asynchronous_event_is_given_up_early_and_into_a_queue(resources: dict[str, Any]) -> None:
    events = of_type(resources, "AWS::Lambda::EventInvokeConfig")
    heartbeat = next(found for name, found in events.items() if name.startswith("Heartbeat"))
    assert heartbeat["MaximumEventAgeInSeconds"] <= 300
    assert heartbeat["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}


def test_every_way_to_lose_heartbeats_has_an_alarm(resources: dict[str, Any]) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    watched = {alarm["MetricName"] for alarm in alarms.values() if "MetricName" in alarm}
    watched |= {
        query["MetricStat"]["Metric"]["MetricName"]
        for alarm in alarms.values()
        for query in alarm.get("Metrics", [])
        if "MetricStat" in query
    }
    assert watched == {
        "Errors", "5xx", "4xx", "Count", "Throttles", "Duration", "IteratorAge", "DestinationDeliveryFailures",
        "WriteProvisionedThroughputExceeded",
        "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage",
        "rejected", "updated", "outdated", "stale_devices", "fleet_devices", "SweepCompleted",
    }  # fmt: skip
    assert alarms["StaleShareAlarm"]["TreatMissingData"] == "missing", "no sweep is not a fleet that is well"
    assert alarms["StaleShareAlarm"]["InsufficientDataActions"] == alarms["StaleShareAlarm"]["AlarmActions"]
    assert all(alarm["AlarmDescription"] for alarm in alarms.values())


def test_only_heartbeats_keep_the_silence_alarm_quiet(resources: dict[str, Any]) -> None:
    """A health check is an invocation, too."""
    alarm = resources["SilenceAlarm"]["Properties"]
    queries = {query["Id"]: query for query in alarm["Metrics"]}
    read = {
        name: query["MetricStat"]["Metric"]["MetricName"] for name, query in queries.items() if "MetricStat" in query
    }
    assert read == {"updated": "updated", "outdated": "outdated"}
    assert queries["accepted"]["Expression"] == "updated + outdated"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching", "no data is what it waits for"
    assert alarm["EvaluationPeriods"] == 5 + 1, "minutes, of which a container may take the last one with it"


def test_a_rejected_message_that_comes_back_counts_once(resources: dict[str, Any]) -> None:
    """It is in the metric once a receipt; the alarm of the dead-letter queue rings for it instead."""
    queries = {query["Id"]: query for query in resources["RejectedShareAlarm"]["Properties"]["Metrics"]}
    queued = queries["queued"]["MetricStat"]["Metric"]
    assert queued["MetricName"] == "rejected"
    assert {"Name": "trigger", "Value": Sqs.name} in queued["Dimensions"]
    counted = "(rejected - FILL(queued, 0))"
    assert queries["share"]["Expression"] == f"100 * {counted} / ({counted[1:-1]} + updated + outdated)"
    assert resources["DeadLettersAlarm"]["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"


def test_the_duration_alarm_follows_the_timeout(resources: dict[str, Any]) -> None:
    queries = of_type(resources, "AWS::CloudWatch::Alarm")["DurationAlarm"]["Metrics"]
    assert {"Fn::Sub": "slowest / (${Timeout} * 10)"} in [query.get("Expression") for query in queries]


def test_the_dashboard_reads_what_the_alarms_watch(resources: dict[str, Any]) -> None:
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    shown = {metric[1] for widget in body["widgets"] for metric in widget["properties"]["metrics"]}
    assert {"updated", "rejected", "failed", "stale_devices", "Errors", "IteratorAge"} <= shown


def test_every_log_group_forgets(resources: dict[str, Any]) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert len(groups) == 3
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    for function in of_type(resources, "AWS::Lambda::Function").values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_every_variable_of_deploy_sh_can_be_given_to_the_stack(written: dict[str, Any]) -> None:
    """But the password: --guided asks for ever for what it may not show (NoEcho), and shows everything else."""
    given = set(written["Globals"]["Function"]["Environment"]["Variables"])
    assert given == set(variables.FUNCTIONS)


def test_no_yaml_that_cloudformation_refuses_is_used() -> None:
    """CloudFormation takes no anchors, aliases or merge keys (User Guide, "CloudFormation template formats")."""
    text = (ROOT / "template.yaml").read_text()
    assert not re.search(r"(^|[\s:\-\[])[&*][A-Za-z]|<<:", text)


def test_deploy_sh_and_sam_deploy_to_the_same_stack_which_is_named_after_the_function(written: dict[str, Any]) -> None:
    saved = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert saved["stack_name"] == written["Parameters"]["FunctionName"]["Default"] == NAME
    script = (ROOT / "deploy.sh").read_text()
    assert f'FUNCTION_NAME="${{FUNCTION_NAME:-{NAME}}}"' in script
    assert 'STACK=(--stack-name "$FUNCTION_NAME")' in script
