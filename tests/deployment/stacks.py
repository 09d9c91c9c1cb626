"""template.yaml as the emulator takes it, and `sam deploy` of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployment.package import ROOT
from tests.deployment.emulator import REGION, post_signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Database
    from tests.deployment.emulator import Cloud

BUCKET = "artifacts"
CODE = "CodeUri: dist/hvac-heartbeat.zip"


def emulated(folder: Path, package: Path | None = None) -> Path:
    """Write the template as the emulator takes it: without the alarms with metric math, and with another package."""
    resources = re.split(r"(?m)^(?=  \w+:\n    Type: )", (ROOT / "template.yaml").read_text())
    kept = [
        text for text in resources if "\n      Metrics:\n" not in text or "Type: AWS::CloudWatch::Alarm" not in text
    ]
    assert len(resources) - len(kept) == 5, "only the alarms with metric math are left out"
    text = "".join(kept)
    if package is not None:
        assert text.count(CODE) == 2
        text = text.replace(CODE, f"CodeUri: {package}")
    file = folder / "template.yaml"
    file.write_text(text)
    return file


@dataclass(frozen=True)
class Stack:
    """A stack on the emulator, deployed again and again."""

    name: str
    cloud: Cloud
    tool: Callable[[str, str], str]
    parameters: dict[str, str]

    def deploy(self, template: Path, **changed: str) -> dict[str, str]:
        """Run `sam deploy` and return the stack's outputs by name.

        A parameter that is not given keeps the value that it had.
        """
        parameters = self.parameters | changed
        ended = subprocess.run(
            [
                self.tool("tools", "sam"), "deploy", "--template", str(template), "--stack-name", self.name,
                "--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
                "--no-fail-on-empty-changeset", "--region", REGION, "--parameter-overrides",
                *(f'{name}="{value}"' for name, value in parameters.items()),
            ],
            env=self.cloud.environment() | {"SAM_CLI_TELEMETRY": "0"},
            cwd=template.parent,  # away from samconfig.toml
            check=False,
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr
        return outputs(self.cloud, self.name)

    def live(self) -> dict[str, Any]:
        """Return the configuration of the version that the alias calls."""
        found: dict[str, Any] = self.cloud.aws(
            "lambda", "get_function_configuration", FunctionName=self.parameters["FunctionName"], Qualifier="live"
        )
        return found

    def post(self, url: str, body: str) -> tuple[int, str]:
        """Send a signed request to the API of the stack."""
        api = url.split("//")[1].split(".", maxsplit=1)[0]
        address = f"{self.cloud.address}/_aws/execute-api/{api}/prod/heartbeat"
        return post_signed(self.tool("tools", "python"), address, body.encode())


def outputs(cloud: Cloud, name: str) -> dict[str, str]:
    """Return the outputs of a stack that is complete."""
    (found,) = cloud.aws("cloudformation", "describe_stacks", StackName=name)["Stacks"]
    assert found["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, found
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def make_bucket(cloud: Cloud) -> None:
    cloud.aws("s3", "create_bucket", Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})


def database_parameters(database: Database) -> dict[str, str]:
    """Return what the stack is to know of a test's database."""
    names = {"DB_HOST": "DbHost", "DB_PORT": "DbPort", "DB_NAME": "DbName", "DB_USER": "DbUser"}
    return {parameter: database.environment[name] for name, parameter in names.items()} | {"DbSslMode": "disable"}
