"""What deploy.sh is told: one rule for each setting, looked at before anything is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from deployment import variables
from deployment.package import ROOT
from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.settings import Settings
from tests.deployment.fake_aws_cli import DATABASE, PASSWORD, FakeAws
from tests.deployment.script import NAME, deploy

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mine"
NO_DATABASE = dict.fromkeys(DATABASE, "")
REFUSED = {
    "a role that is no ARN": ({"ROLE_ARN": "foo"}, "ROLE_ARN"),
    "an example's ellipsis": ({"ROLE_ARN": "arn:aws:iam::…:role/…"}, "ROLE_ARN"),
    "an ellipsis in the function's own settings": ({"DB_HOST": "…"}, "DB_HOST"),
    "a port that is no number": ({"DB_PORT": "abc"}, "DB_PORT"),
    "a schedule that is no expression": ({"SCHEDULE": "every minute"}, "SCHEDULE"),
    "a rate in bad grammar, which EventBridge refuses": ({"SCHEDULE": "rate(1 minutes)"}, "SCHEDULE"),
    "no database at all": (NO_DATABASE, "DB_HOST, DB_NAME, DB_USER"),
    "nothing to log in with": ({"DB_PASSWORD": ""}, "DB_PASSWORD"),
    "two ways to log in": ({"DB_SECRET_ARN": SECRET}, "DB_SECRET_ARN"),
    "a TLS mode that libpq does not have": ({"DB_SSLMODE": "on"}, "DB_SSLMODE"),
    "new devices neither accepted nor rejected": ({"HEARTBEAT_NEW_DEVICES": "ask"}, "HEARTBEAT_NEW_DEVICES"),
    "a log that is neither of the two": ({"HEARTBEAT_LOG": "hour"}, "HEARTBEAT_LOG"),
    "no region": ({"REGION": ""}, "REGION"),
    "a region that is none": ({"REGION": "Frankfurt"}, "REGION"),
    "a name that no queue could have": ({"FUNCTION_NAME": "Fleet_1"}, "FUNCTION_NAME"),
    "memory that is no number": ({"MEMORY": "lots"}, "MEMORY"),
    "a timeout that the queue is not made for": ({"TIMEOUT": "31"}, "TIMEOUT"),
    "a processor that Lambda does not have": ({"ARCHITECTURE": "amd64"}, "ARCHITECTURE"),
    "subnets by their names": ({"SUBNET_IDS": "private-a"}, "SUBNET_IDS"),
    "an authorization that is none": ({"API_AUTH": "token"}, "API_AUTH"),
    "a package that is not there": ({"PACKAGE": "/nowhere.zip"}, "PACKAGE"),
}


@pytest.fixture
def aws(tmp_path: Path) -> FakeAws:
    return FakeAws(tmp_path)


@pytest.mark.parametrize("case", REFUSED)
def test_a_setting_that_cannot_be_used_is_one_line_that_names_it(aws: FakeAws, case: str) -> None:
    changed, name = REFUSED[case]
    run = deploy(aws.environment(**changed))
    assert run.code == 2
    assert run.err.startswith("deploy: ")
    assert run.err.count("\n") == 1, run.err
    assert name in run.err
    assert PASSWORD not in run.out + run.err
    assert aws.changes() == []


def test_settings_are_judged_without_an_account(aws: FakeAws) -> None:
    """Somebody who only wants to see whether they are right need not have credentials yet."""
    aws.refuses("sts get-caller-identity", "X", "Unable to locate credentials")
    assert deploy(aws.environment(**NO_DATABASE), "--dry-run").code == 2
    assert deploy(aws.environment(), "--dry-run").code == 1


@pytest.mark.parametrize("argument", ["--sqs", "SqsQueues=true", "sqs", "Schedule=every minute", "DbPort=abc"])
def test_an_argument_that_is_none_is_refused_before_anything_is_looked_at(aws: FakeAws, argument: str) -> None:
    run = deploy(aws.environment(), argument)
    assert (run.code, run.out, aws.calls()) == (2, "", [])
    assert run.err.count("\n") == 1, run.err


def test_the_database_may_be_left_to_the_console(aws: FakeAws) -> None:
    run = deploy(aws.environment(**NO_DATABASE), "--database-later")
    assert run.code == 0, run.err
    assert aws.parameters() == {"FunctionName": NAME}


def test_the_three_lines_at_the_top_can_be_edited(aws: FakeAws, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("deployment", "src", "template.yaml"):
        (checkout / name).symlink_to(ROOT / name)
    text = (ROOT / "deploy.sh").read_text().splitlines(keepends=True)
    edited = {"FUNCTION_NAME": "boiler", "REGION": "us-east-1", "ROLE_ARN": "arn:aws:iam::123456789012:role/boiler"}
    for number, line in enumerate(text):
        name = line.split("=")[0]
        if name in edited:
            text[number] = f'{name}="{edited.pop(name)}"\n'
    assert not edited
    (checkout / "deploy.sh").write_text("".join(text))
    (checkout / "deploy.sh").chmod(0o755)
    aws.answers("s3api head-bucket", "")
    run = deploy(aws.environment(), "--dry-run", checkout=checkout)
    assert run.code == 0, run.err
    assert "region us-east-1" in run.out
    assert aws.parameters()["RoleArn"] == "arn:aws:iam::123456789012:role/boiler"
    assert any(call.startswith("cloudformation create-change-set --stack-name boiler ") for call in aws.calls())


def test_what_is_not_set_keeps_the_value_that_the_stack_has(aws: FakeAws) -> None:
    """Also what makes the settings whole: another shell needs no DB_* again."""
    held = {"DbHost": "db", "DbName": "n", "DbUser": "u", "DbSecretArn": SECRET, "Timeout": "60", "DbPassword": "gone"}
    aws.has_stack(held)
    run = deploy(aws.environment(**NO_DATABASE, MEMORY="256"), "AlarmTopicArn=arn:aws:sns:x", "Schedule=")
    assert run.code == 0, run.err
    kept = dict.fromkeys(("DbHost", "DbName", "DbUser", "DbSecretArn", "Timeout"), True)
    given = {"FunctionName": NAME, "MemorySize": "256", "AlarmTopicArn": "arn:aws:sns:x", "Schedule": ""}
    assert aws.parameters() == kept | given


def test_another_way_to_log_in_puts_the_first_away(aws: FakeAws) -> None:
    aws.has_stack({"DbHost": "db", "DbName": "n", "DbUser": "u", "DbSecretArn": SECRET, "DbIamAuth": "false"})
    run = deploy(aws.environment(**NO_DATABASE | {"DB_IAM_AUTH": "true"}), "DbResourceId=db-1")
    assert run.code == 0, run.err
    assert aws.parameters()["DbIamAuth"] == "true"
    assert aws.parameters()["DbSecretArn"] == ""


def test_the_processor_stays_that_of_the_stack(aws: FakeAws, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps([["Architecture", "x86_64"]]))
    (tmp_path / "held-secret.json").write_text("{}")
    answer = subprocess.run(
        [sys.executable, "-m", "deployment.variables", "secret", str(tmp_path)],
        cwd=ROOT, env=aws.environment(DATABASE_LATER="no"), check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert answer.stdout == "x86_64"


def test_an_option_leaves_alone_what_the_stack_has(aws: FakeAws) -> None:
    """Another shell without API_AUTH=jwt would otherwise shut out every device."""
    aws.has_stack({"HttpApi": "jwt", "Schedule": "rate(5 minutes)"})
    assert deploy(aws.environment(), "--schedule", "--api").code == 0
    assert (aws.parameters()["HttpApi"], aws.parameters()["Schedule"]) == (True, True)


def test_an_option_brings_back_what_was_switched_off(aws: FakeAws) -> None:
    aws.has_stack({"HttpApi": "none", "Schedule": ""})
    assert deploy(aws.environment(SCHEDULE="rate(2 minutes)"), "--schedule", "--api").code == 0
    assert (aws.parameters()["HttpApi"], aws.parameters()["Schedule"]) == ("iam", "rate(2 minutes)")


def test_every_call_is_for_the_region_that_was_asked_for(aws: FakeAws) -> None:
    """The CLI reads AWS_REGION before AWS_DEFAULT_REGION, or does not read it at all."""
    deploy(aws.environment(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-west-2"), "--dry-run")
    assert set((aws.folder / "regions").read_text().splitlines()) == {"eu-central-1 eu-central-1"}


def test_the_options_are_parameters(aws: FakeAws) -> None:
    token = {"API_AUTH": "jwt", "JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "fleet"}
    run = deploy(aws.environment(**token), "--schedule", "--api", "--iot", "FleetSize=100000")
    assert run.code == 0, run.err
    expected = {"Schedule": "rate(1 minute)", "HttpApi": "jwt", "JwtIssuer": "https://issuer.example",
                "JwtAudience": "fleet", "IotRules": "true", "FleetSize": "100000"}  # fmt: skip
    assert expected.items() <= aws.parameters().items()


class TestThePassword:
    """It is kept in a secret: whoever may look at a stack or a function sees their parameters and variables."""

    def test_it_is_in_the_secret_and_nowhere_else(self, aws: FakeAws) -> None:
        run = deploy(aws.environment())
        assert "did keep DB_PASSWORD in the secret hvac-heartbeat-updater/database" in run.out
        assert json.loads(aws.sent("secret.json")) == {
            "engine": "postgres", "host": "db.example", "port": 5432, "dbname": "hvac_db", "username": "hvac",
            "password": PASSWORD,
        }  # fmt: skip
        assert aws.parameters()["DbSecretArn"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:made"
        elsewhere = [aws.sent("parameters.json"), aws.sent("template.yaml"), run.out, run.err, *aws.calls()]
        assert not any(PASSWORD in text for text in elsewhere)

    def test_a_new_one_goes_into_the_secret_that_is_there_and_what_else_it_holds_stays(self, aws: FakeAws) -> None:
        aws.answers("secretsmanager describe-secret", "arn:there")
        aws.answers("secretsmanager get-secret-value", {"password": "old", "masterarn": "arn:master"})
        deploy(aws.environment())
        assert "secretsmanager put-secret-value" in aws.changes()
        sent = json.loads(aws.sent("secret.json"))
        assert (sent["password"], sent["masterarn"]) == (PASSWORD, "arn:master")
        assert aws.parameters()["DbSecretArn"] == "arn:there"

    def test_the_same_one_changes_nothing(self, aws: FakeAws) -> None:
        there = {"engine": "postgres", "host": "db.example", "port": 5432, "dbname": "hvac_db", "username": "hvac"}
        aws.answers("secretsmanager describe-secret", "arn:there")
        aws.answers("secretsmanager get-secret-value", there | {"password": PASSWORD})
        deploy(aws.environment())
        assert not [call for call in aws.changes() if call.startswith("secretsmanager")]


def test_every_parameter_and_limit_is_the_templates(written: dict[str, Any]) -> None:
    parameters = written["Parameters"]
    assert set(variables.PARAMETERS.values()) <= set(parameters)
    limits = parameters["MemorySize"]
    for value, fits in ((127, False), (128, True), (1000, True), (10_240, True), (10_241, False)):
        assert fits == (limits["MinValue"] <= value <= limits["MaxValue"]) == is_taken("MEMORY", str(value))
    assert all(is_taken("TIMEOUT", str(value)) for value in parameters["Timeout"]["AllowedValues"])
    assert all(is_taken("API_AUTH", value) for value in parameters["HttpApi"]["AllowedValues"])


def is_taken(name: str, value: str) -> bool:
    try:
        variables.read({name: value}, [])
    except SettingsError:
        return False
    return True


def test_every_variable_of_the_function_is_one_that_it_reads() -> None:
    source = (ROOT / "src" / "hvac_heartbeat" / "settings.py").read_text()
    assert [name for name in (*variables.FUNCTIONS, *variables.LOGINS) if f'"{name}"' not in source] == []
    assert Settings.from_environment(DATABASE).password == PASSWORD
