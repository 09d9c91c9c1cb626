"""deploy.sh against the emulator: it creates, changes only what differs, and tells no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deployment.conftest import ARCHITECTURE, version_2
from tests.deployment.emulator import ACCOUNT, REGION, Cloud, eventually, post, post_signed
from tests.deployment.script import NAME, PASSWORD, QUEUE, Run, deploy, seen
from tests.skips import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Database


@pytest.fixture(scope="module")
def dry(cloud: Cloud, settings: dict[str, str]) -> Run:
    """A dry run before anything exists."""
    run = deploy(settings, "--dry-run", "--schedule", "--api", "--iot")
    assert cloud.aws("lambda", "list-functions")["Functions"] == []
    return run


@pytest.fixture(scope="module")
def first(dry: Run, settings: dict[str, str]) -> Run:
    """The run that creates everything."""
    return deploy(settings, "--schedule", "--api", "--iot")


@pytest.mark.slow
@pytest.mark.timeout(600)  # some sixty calls of the CLI, about half a second each on an idle machine
class TestAllTriggers:
    """One deployment with every flag, with the CLI of version 2 where it is installed."""

    def test_a_dry_run_says_what_the_first_run_then_does(self, dry: Run, first: Run) -> None:
        assert dry.code == 0, dry.err
        assert first.code == 0, first.err
        assert dry.done
        assert dry.done == first.done

    def test_the_function_is_as_asked_for(
        self, first: Run, cloud: Cloud, fleet_database: Database, settings: dict[str, str]
    ) -> None:
        function = cloud.aws("lambda", "get-function", "--function-name", NAME)
        configuration = function["Configuration"]
        assert configuration["Runtime"] == "python3.13"
        assert configuration["Handler"] == "lambda_function.lambda_handler"
        assert (configuration["MemorySize"], configuration["Timeout"]) == (128, 30)
        assert configuration["Architectures"] == [ARCHITECTURE]
        assert configuration["DeadLetterConfig"] == {"TargetArn": QUEUE}
        assert configuration["Environment"]["Variables"] == fleet_database.environment | {
            "DB_PASSWORD": PASSWORD,
            "DB_SSLMODE": "disable",
            "DB_SSLROOTCERT": "/var/task/root.pem",
        }
        assert function["Concurrency"] == {"ReservedConcurrentExecutions": 20}
        events = cloud.aws("lambda", "get-function-event-invoke-config", "--function-name", NAME)
        assert (events["MaximumEventAgeInSeconds"], events["MaximumRetryAttempts"]) == (300, 2)

    def test_only_the_named_sources_may_invoke_it(self, first: Run, cloud: Cloud) -> None:
        policy = json.loads(cloud.aws("lambda", "get-policy", "--function-name", NAME)["Policy"])
        sources = {
            entry["Principal"]["Service"]: entry["Condition"]["ArnLike"]["AWS:SourceArn"]
            for entry in policy["Statement"]
            if not entry["Sid"].endswith("_gateway")
        }
        (api,) = cloud.aws("apigatewayv2", "get-apis")["Items"]
        assert sources == {
            "events.amazonaws.com": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/hvac-heartbeat-schedule",
            "apigateway.amazonaws.com": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api['ApiId']}/prod/*",
            "iot.amazonaws.com": f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/hvac_heartbeat_updater_device",
        }

    def test_a_second_run_changes_nothing(self, first: Run, cloud: Cloud, settings: dict[str, str]) -> None:
        before = cloud.aws("lambda", "get-function-configuration", "--function-name", NAME)
        second = deploy(settings, "--schedule", "--api", "--iot")
        assert second.code == 0, second.err
        assert second.done == []
        assert second.out.endswith("nothing to change\n")
        assert cloud.aws("lambda", "get-function-configuration", "--function-name", NAME) == before

    def test_the_password_is_on_no_command_line_and_in_no_output(self, dry: Run, first: Run, cloud: Cloud) -> None:
        lines = cloud.command_lines.read_text()
        assert "create-function" in lines
        assert PASSWORD not in lines + dry.out + dry.err + first.out + first.err

    def test_an_iot_publish_arrives_in_the_table(
        self, first: Run, cloud: Cloud, fleet_database: Database, tmp_path: Path
    ) -> None:
        payload = tmp_path / "payload.json"
        payload.write_text(json.dumps({"device_id": "iot-1", "site_id": "building-a", "status": "degraded"}))
        cloud.aws(
            "iot-data", "publish", "--topic", "hvac/building-a/iot-1/heartbeat", "--payload", f"fileb://{payload}"
        )
        eventually(lambda: seen(fleet_database, "iot-1") == ("building-a", "degraded"), "the heartbeat over IoT")

    def test_a_gateways_batch_over_iot_arrives_in_the_table(
        self, first: Run, cloud: Cloud, fleet_database: Database, tmp_path: Path
    ) -> None:
        payload = tmp_path / "payload.json"
        payload.write_text(
            json.dumps({"devices": [{"device_id": f"gw-{n}", "site_id": "building-b"} for n in range(3)]})
        )
        cloud.aws("iot-data", "publish", "--topic", "hvac/building-b/heartbeats", "--payload", f"fileb://{payload}")
        eventually(lambda: all(seen(fleet_database, f"gw-{n}") for n in range(3)), "the gateway's batch")

    def test_an_http_request_arrives_in_the_table(
        self, first: Run, cloud: Cloud, fleet_database: Database, tool: Callable[[str, str], str]
    ) -> None:
        (api,) = cloud.aws("apigatewayv2", "get-apis")["Items"]
        url = f"{cloud.address}/_aws/execute-api/{api['ApiId']}/prod/heartbeat"
        body = json.dumps({"device_id": "http-1", "site_id": "building-a", "status": "ready"}).encode()
        status, answer = post_signed(tool("tools", "python"), url, body)
        assert status == 200, answer
        assert json.loads(answer)["updated_devices"] == ["http-1"]
        assert seen(fleet_database, "http-1") == ("building-a", "ready")

    def test_an_http_request_that_nobody_signed_is_refused(self, first: Run, cloud: Cloud) -> None:
        (api,) = cloud.aws("apigatewayv2", "get-apis")["Items"]
        status, _ = post(f"{cloud.address}/_aws/execute-api/{api['ApiId']}/prod/heartbeat", b"{}")
        assert status == 403

    def test_a_schedule_tick_arrives_in_the_table(self, first: Run, fleet_database: Database) -> None:
        """The emulator looks at its rules every ten seconds, and the first minute begins when the rule was made."""
        eventually(lambda: seen(fleet_database, "canary") == ("schedule", None), "the first tick", within_s=100)

    def test_one_changed_setting_is_the_only_change_and_the_consoles_variables_stay(
        self, first: Run, cloud: Cloud, settings: dict[str, str], tmp_path: Path
    ) -> None:
        """With a secret's ARN instead of the password, the password goes: both would contradict each other."""
        mine = {"Variables": {"DB_HOST": "by-hand", "DB_PASSWORD": PASSWORD, "ADDED_BY_HAND": "stays"}}
        by_hand = tmp_path / "by-hand.json"
        by_hand.write_text(json.dumps({"FunctionName": NAME, "Environment": mine}))
        cloud.aws("lambda", "update-function-configuration", "--cli-input-json", f"file://{by_hand}")
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:fleet"
        bare = {name: value for name, value in settings.items() if not name.startswith("DB_")}
        run = deploy(bare | {"DB_SECRET_ARN": secret, "MEMORY": "256"})
        assert run.code == 0, run.err
        assert run.done == ["set MemorySize, DB_PASSWORD, DB_SECRET_ARN"]
        now = cloud.aws("lambda", "get-function-configuration", "--function-name", NAME)
        assert now["MemorySize"] == 256
        assert now["Environment"]["Variables"] == {
            "DB_HOST": "by-hand",
            "ADDED_BY_HAND": "stays",
            "DB_SECRET_ARN": secret,
        }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_version_1_of_the_cli_creates_and_then_changes_nothing(
    cloud: Cloud, aws_v1: str, settings: dict[str, str]
) -> None:
    environment = settings | cloud.environment(Path(aws_v1)) | {"FUNCTION_NAME": "with-version-1"}
    created = deploy(environment)
    assert created.code == 0, created.err
    assert created.done[0].startswith("create the function with-version-1")
    again = deploy(environment)
    assert (again.code, again.done) == (0, []), again.err


def test_version_2_of_the_cli_is_the_one_that_deployed_with_every_flag(cloud: Cloud) -> None:
    """All of TestAllTriggers, but for IoT's calls, which only version 1 signs so that the emulator knows them."""
    if version_2() is None:
        skip_or_fail("AWS CLI version 2 is not here", "`apt-get install awscli`, on Debian 12 and later")
    assert cloud.cli == version_2()
