"""A stack that is deployed again: whatever changes, the alias `live` calls what was deployed last."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.deployment.conftest import ARCHITECTURE
from tests.deployment.stacks import Stack, database_parameters, emulated, make_bucket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Database
    from tests.deployment.emulator import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "updated"


@dataclass(frozen=True)
class Step:
    """What a device was answered after a deployment, and the version that the alias called then."""

    status: int
    live: dict[str, Any]

    @property
    def version(self) -> int:
        return int(self.live["Version"])


@pytest.fixture(scope="module")
def stack_template(local_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulated(tmp_path_factory.mktemp("stack"), local_package)


@pytest.fixture(scope="module")
def stack(cloud: Cloud, tool: Callable[[str, str], str], fleet_database: Database) -> Stack:
    make_bucket(cloud)
    parameters = {
        "FunctionName": NAME,
        "Architecture": ARCHITECTURE,
        "NewDevices": "accept",
        "DeviceClaim": "",
        "Timeout": "30",
        "MemorySize": "128",
        "Tracing": "PassThrough",
        "LogLevel": "WARN",
        "Schedule": "rate(1 minute)",
    }
    return Stack(NAME, cloud, tool, parameters | database_parameters(fleet_database))


@pytest.fixture(scope="module")
def steps(stack: Stack, stack_template: Path) -> list[Step]:
    """The stack as it was made, with other settings, with others again, and as it was made: how it stays."""
    unseen = {"Timeout": "60", "MemorySize": "256", "Tracing": "Active", "LogLevel": "INFO"}
    taken = []
    for number, changed in enumerate(({}, {"NewDevices": "reject", **unseen}, {"DeviceClaim": "iam.userId"}, {})):
        url = stack.deploy(stack_template, **changed)["Url"]
        heartbeat = {"device_id": f"updated-{number}", "site_id": "building-u", "status": "ready"}
        taken.append(Step(stack.post(url, json.dumps(heartbeat))[0], stack.live()))
    return taken


def test_senders_meet_the_settings_that_were_deployed_last(steps: list[Step]) -> None:
    """As a device sees them over HTTP, on the way there and back."""
    assert [step.status for step in steps] == [200, 400, 403, 200]
    assert [step.version - steps[0].version for step in steps] == [0, 1, 2, 3]


def test_a_version_is_published_with_what_no_sender_can_see(steps: list[Step]) -> None:
    live = steps[1].live
    assert (live["MemorySize"], live["Timeout"]) == (256, 60)
    assert live["TracingConfig"] == {"Mode": "Active"}
    assert live["LoggingConfig"]["SystemLogLevel"] == "INFO"


def test_no_version_is_published_where_the_function_stays_as_it_is(
    stack: Stack, steps: list[Step], stack_template: Path
) -> None:
    before = stack.live()
    stack.deploy(stack_template, Schedule="rate(2 minutes)")
    assert stack.live()["Version"] == before["Version"]


def test_a_version_is_published_for_new_code_alone(
    stack: Stack, steps: list[Step], local_package: Path, tmp_path: Path
) -> None:
    before = stack.live()
    package = tmp_path / "package.zip"
    shutil.copy(local_package, package)
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("a_new_module.py", "")
    stack.deploy(emulated(tmp_path, package), Schedule="rate(2 minutes)")
    after = stack.live()
    assert after["Version"] != before["Version"]
    assert after["CodeSha256"] != before["CodeSha256"]
