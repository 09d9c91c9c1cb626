"""deploy.sh where AWS answers in part: what it was not told is not what is not there."""

from __future__ import annotations

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from tests.deployment.pretended import Pretended
from tests.deployment.script import NAME, deploy

if TYPE_CHECKING:
    from pathlib import Path

ARN = f"arn:aws:lambda:eu-central-1:123456789012:function:{NAME}"


@pytest.fixture
def aws(tmp_path: Path) -> Pretended:
    return Pretended(tmp_path)


def deployed(**differs: Any) -> dict[str, Any]:
    """What Lambda says of a function in which deploy.sh finds nothing to change."""
    return {
        "FunctionName": NAME,
        "Role": "arn:aws:iam::123456789012:role/hvac-heartbeat",
        "Runtime": "python3.13",
        "Handler": "lambda_function.lambda_handler",
        "MemorySize": 128,
        "Timeout": 30,
        "CodeSha256": base64.b64encode(hashlib.sha256(b"zip").digest()).decode(),
        "Architectures": ["arm64"],
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": {"DB_HOST": "here", "ADDED_BY_HAND": "stays"}},
    } | differs


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_an_environment_that_may_not_be_decrypted_is_not_an_empty_one(aws: Pretended, options: tuple[str, ...]) -> None:
    """Lambda leaves Variables out where the caller may not use the function's key; sent back, all would be lost."""
    hidden = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "Lambda was unable to decrypt"}}
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    aws.answers("lambda get-function-configuration", deployed(Environment=hidden, KMSKeyArn=key))
    run = deploy(aws.environment(MEMORY="256"), *options)
    assert run.code == 1
    assert run.err == (
        "deploy: the function's environment cannot be read (AccessDeniedException), so it could not be kept; "
        f"you need kms:Decrypt on {key}\n"
    )
    assert aws.changes() == []
    assert run.done == []


def test_a_failure_of_the_last_update_is_not_taken_for_what_was_asked_for(aws: Pretended) -> None:
    """Lambda shows the settings that it was sent, and goes on with the old ones."""
    aws.answers(
        "lambda get-function-configuration",
        deployed(LastUpdateStatus="Failed", LastUpdateStatusReasonCode="SubnetOutOfIPAddresses"),
    )
    run = deploy(aws.environment())
    assert run.code == 0, run.err
    assert run.done[0] == "set the configuration again, which Lambda failed to apply (SubnetOutOfIPAddresses)"
    assert aws.sent("lambda update-function-configuration")["Environment"] == deployed()["Environment"]


def test_an_update_under_way_is_waited_for_before_anything_is_compared(aws: Pretended) -> None:
    aws.answers("lambda get-function-configuration", deployed(LastUpdateStatus="InProgress"))
    run = deploy(aws.environment(), "--dry-run")
    assert run.code == 0, run.err
    assert "Lambda is at work on the function" in run.out
    calls = [" ".join(call.split()[:3]) for call in aws.calls()]
    looked = [number for number, call in enumerate(calls) if call.startswith("lambda get-function-configuration")]
    assert looked[0] < calls.index("lambda wait function-updated-v2") < looked[1]


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("lambda get-function-configuration", ()),
        ("lambda get-function-concurrency", ()),
        ("lambda get-function-event-invoke-config", ()),
        ("lambda get-policy", ("--schedule",)),
        ("events describe-rule", ("--schedule",)),
        ("events list-targets-by-rule", ("--schedule",)),
        ("apigatewayv2 get-apis", ("--api",)),
        ("apigatewayv2 get-integrations", ("--api",)),
        ("apigatewayv2 get-authorizers", ("--api",)),
        ("apigatewayv2 get-routes", ("--api",)),
        ("apigatewayv2 get-stage", ("--api",)),
        ("iot get-topic-rule", ("--iot",)),
        ("iot get-policy", ("--iot",)),
    ],
)
def test_a_look_that_is_refused_ends_the_run_and_nothing_is_made_in_its_place(
    aws: Pretended, call: str, options: tuple[str, ...]
) -> None:
    aws.answers("lambda get-function-configuration", deployed())
    aws.answers("apigatewayv2 get-apis", '"api-1"')
    code = "UnauthorizedException" if call.startswith("iot") else "AccessDeniedException"
    aws.refuses(call, code, "User: someone is not authorized to perform this")
    token = {"API_AUTH": "jwt", "JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "fleet"}
    run = deploy(aws.environment(CONCURRENCY="20", **token), *options)
    assert run.code == 1, run.out
    assert run.err.startswith("deploy: failed looking at ")
    assert run.err.count("\n") == 1, run.err
    refused = next(number for number, made in enumerate(aws.calls()) if made.startswith(call))
    assert refused == len(aws.calls()) - 1, "nothing is called after it"


def test_a_rule_that_is_not_there_is_made_although_iot_calls_it_denied(aws: Pretended) -> None:
    aws.answers("lambda get-function-configuration", deployed())
    aws.refuses("iot get-topic-rule", "UnauthorizedException", "Access to topic rule 'x' was denied")
    run = deploy(aws.environment(), "--iot")
    assert run.code == 0, run.err
    assert "create the IoT rule hvac_heartbeat_updater_device" in run.done


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId"])
def test_a_dry_run_with_credentials_that_are_no_longer_good_does_not_show_an_empty_account(
    aws: Pretended, code: str
) -> None:
    aws.refuses("sts get-caller-identity", code, "The security token is no good")
    run = deploy(aws.environment(), "--dry-run")
    assert (run.code, run.done) == (1, [])
    assert run.err == (
        f"deploy: failed asking whose credentials these are: {code}: The security token is no good; "
        "your credentials are no longer good; sign in again\n"
    )


def test_a_target_that_eventbridge_did_not_take_is_a_failure(aws: Pretended) -> None:
    """PutTargets succeeds all the same, and says so inside."""
    aws.answers("lambda get-function-configuration", deployed())
    aws.answers("events put-targets", "LimitExceededException\tToo many targets")
    run = deploy(aws.environment(), "--schedule")
    assert run.code == 1
    assert "failed to point the schedule at the function: LimitExceededException" in run.err
    assert not [done for done in run.done if done.startswith("point")]


class TestWhatSomebodySetInTheConsole:
    """Lambda, EventBridge and IoT replace the whole of what they are sent, so the rest has to be sent back."""

    @pytest.fixture
    def aws(self, aws: Pretended) -> Pretended:
        aws.answers("lambda get-function-configuration", deployed())
        return aws

    def test_the_queue_of_failed_asynchronous_events_stays(self, aws: Pretended) -> None:
        failed = {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:failed"}}
        aws.answers("lambda get-function-event-invoke-config", {"DestinationConfig": failed})
        deploy(aws.environment())
        assert aws.sent("lambda put-function-event-invoke-config") == {
            "FunctionName": NAME,
            "MaximumEventAgeInSeconds": 300,
            "MaximumRetryAttempts": 2,
            "DestinationConfig": failed,
        }

    def test_the_interval_of_the_schedule_and_its_description_stay(self, aws: Pretended) -> None:
        there = {"ScheduleExpression": "rate(5 minutes)", "State": "DISABLED", "Description": "mine"}
        aws.answers("events describe-rule", there)
        run = deploy(aws.environment(), "--schedule")
        assert "tick at rate(5 minutes) (rule hvac-heartbeat-schedule)" in run.done
        assert aws.sent("events put-rule") == there | {"Name": "hvac-heartbeat-schedule", "State": "ENABLED"}

    def test_the_event_of_the_tick_stays_and_no_second_target_is_added(self, aws: Pretended) -> None:
        aws.answers("events list-targets-by-rule", [{"Id": "Idf3a", "Arn": ARN, "Input": "{}"}])
        assert "point the schedule at the function" not in deploy(aws.environment(), "--schedule").done
        event = aws.folder / "event.json"
        event.write_text('{"device_id": "canary"}')
        deploy(aws.environment(SCHEDULE_INPUT=str(event)), "--schedule")
        assert aws.sent("events put-targets") == [{"Id": "Idf3a", "Arn": ARN, "Input": '{"device_id": "canary"}'}]
        deploy(aws.environment(SCHEDULE_INPUT="/dev/null"), "--schedule")
        assert aws.sent("events put-targets") == [{"Id": "Idf3a", "Arn": ARN}]

    def test_somebody_elses_target_of_the_schedule_stays(self, aws: Pretended) -> None:
        aws.answers("events list-targets-by-rule", [{"Id": "1", "Arn": "arn:aws:lambda:eu-central-1:1:function:other"}])
        deploy(aws.environment(), "--schedule")
        assert [target["Id"] for target in aws.sent("events put-targets")] == ["hvac-heartbeat"]

    def test_what_becomes_of_a_message_that_an_iot_rule_cannot_deliver_stays(self, aws: Pretended) -> None:
        mine = {
            "sql": "SELECT * FROM 'old'",
            "description": "mine",
            "actions": [{"s3": {"bucketName": "archive"}}],
            "errorAction": {"sqs": {"queueUrl": "https://queue", "roleArn": "arn:role", "useBase64": False}},
        }
        aws.answers("iot get-topic-rule", mine)
        run = deploy(aws.environment(), "--iot")
        assert "replace the IoT rule hvac_heartbeat_updater_gateway" in run.done
        sent = aws.sent("iot replace-topic-rule")
        assert {key: sent[key] for key in ("description", "errorAction")} == {
            key: mine[key] for key in ("description", "errorAction")
        }
        assert [next(iter(action)) for action in sent["actions"]] == ["s3", "lambda"]

    def test_a_route_keeps_its_tokens_unless_told_otherwise(self, aws: Pretended) -> None:
        """A second run with another shell's environment would shut out every device."""
        aws.answers("apigatewayv2 get-apis", '"api-1"')
        aws.answers("apigatewayv2 get-integrations", '"there"')
        aws.answers("apigatewayv2 get-routes", '"route-1 integrations/there JWT authorizer-1"')
        run = deploy(aws.environment(), "--api")
        assert "same route POST /heartbeat (JWT)" in run.out
        run = deploy(aws.environment(API_AUTH="iam"), "--api")
        assert "change route POST /heartbeat (AWS_IAM)" in run.done

    def test_the_processor_stays(self, aws: Pretended) -> None:
        aws.answers("lambda get-function-configuration", deployed(Architectures=["x86_64"]))
        assert "same code" in deploy(aws.environment()).out


LISTS = {
    "/v2/apis": [
        {"ApiId": "api-1", "Name": "another", "ProtocolType": "HTTP"},
        {"ApiId": "api-2", "Name": NAME, "ProtocolType": "WEBSOCKET"},
        {"ApiId": "api-3", "Name": NAME, "ProtocolType": "HTTP"},
        {"ApiId": "api-4", "Name": "one-more", "ProtocolType": "HTTP"},
    ],
    "/v2/apis/api-3/integrations": [
        {"IntegrationId": "other", "IntegrationUri": "arn:aws:lambda:eu-central-1:123456789012:function:other"},
        {"IntegrationId": "ours", "IntegrationUri": ARN},
    ],
    "/v2/apis/api-3/routes": [
        {"RouteId": "1", "RouteKey": "GET /other"},
        {"RouteId": "2", "RouteKey": "POST /heartbeat", "Target": "integrations/ours", "AuthorizationType": "AWS_IAM"},
        {"RouteId": "3", "RouteKey": "GET /health", "Target": "integrations/ours", "AuthorizationType": "AWS_IAM"},
    ],
}


class OneAPage(BaseHTTPRequestHandler):
    """API Gateway with a page for every entry; the emulator puts all of them on one."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        number = int(dict(parse_qsl(query)).get("nextToken", "0"))
        found = LISTS[path][number]
        page: dict[str, Any] = {"items": [{key[0].lower() + key[1:]: value for key, value in found.items()}]}
        if number + 1 < len(LISTS[path]):
            page["nextToken"] = str(number + 1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def test_what_is_on_a_later_page_is_there(aws: Pretended, aws_v1: str) -> None:
    """Asked for text, the CLI would put the query to each page by itself, and answer None for all but one."""
    aws.answers("lambda get-function-configuration", deployed())
    aws.answers("apigatewayv2 get-stage", '"prod"')
    with ThreadingHTTPServer(("127.0.0.1", 0), OneAPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        pages = aws.folder / "pages" / "aws"
        pages.parent.mkdir()
        pages.write_text(
            '#!/bin/sh\ncase "$2" in get-apis | get-routes | get-integrations)'
            f' exec {aws_v1} --endpoint-url http://127.0.0.1:{server.server_port} "$@" ;; esac\n'
            f'exec {aws.folder}/bin/aws "$@"\n'
        )
        pages.chmod(0o755)
        environment = aws.environment(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
        run = deploy(environment | {"PATH": f"{pages.parent}:{environment['PATH']}"}, "--api")
        server.shutdown()
    assert run.code == 0, run.err
    for found in ("HTTP API api-3", "integration", "route POST /heartbeat (AWS_IAM)", "route GET /health (AWS_IAM)"):
        assert f"same {found}\n" in run.out
