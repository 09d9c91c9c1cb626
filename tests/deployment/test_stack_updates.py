"""A stack that is deployed again: whatever changes, the alias `live` calls what was deployed last."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

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


@pytest.fixture(scope="module")
def stack_template(
    tool: Callable[[str, str], str], local_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return emulated(tool("tools", "python"), local_package, tmp_path_factory.mktemp("stack"))


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


def heartbeat(device_id: str) -> str:
    return json.dumps({"device_id": device_id, "site_id": "building-u", "status": "ready"})


def test_senders_meet_the_settings_that_were_deployed_last(stack: Stack, stack_template: Path) -> None:
    """As a device sees them over HTTP, on the way there and back."""
    url = stack.deploy(stack_template)["Url"]
    assert stack.post(url, heartbeat("updated-1"))[0] == 200
    for changed, status in (
        ({"NewDevices": "reject", "Timeout": "60"}, 400),
        ({"DeviceClaim": "iam.userId"}, 403),
        ({"DbName": "nobody_made_this"}, 503),
        ({}, 200),
    ):
        before = stack.live()["Version"]
        stack.deploy(stack_template, **changed)
        assert int(stack.live()["Version"]) == int(before) + 1, changed
        assert stack.post(url, heartbeat(f"updated-{status}"))[0] == status, changed


def test_a_version_is_published_with_what_no_sender_can_see(stack: Stack, stack_template: Path) -> None:
    stack.deploy(stack_template, MemorySize="256", Timeout="60", Tracing="Active", LogLevel="INFO")
    live = stack.live()
    assert (live["MemorySize"], live["Timeout"]) == (256, 60)
    assert live["TracingConfig"] == {"Mode": "Active"}
    assert live["LoggingConfig"]["SystemLogLevel"] == "INFO"


def test_a_version_is_published_for_new_code_alone(
    stack: Stack, stack_template: Path, local_package: Path, tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    stack.deploy(stack_template)
    before = stack.live()
    package = tmp_path / "package.zip"
    shutil.copy(local_package, package)
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("a_new_module.py", "")
    stack.deploy(emulated(tool("tools", "python"), package, tmp_path))
    after = stack.live()
    assert after["Version"] != before["Version"]
    assert after["CodeSha256"] != before["CodeSha256"]


def test_no_version_is_published_where_the_function_stays_as_it_is(stack: Stack, stack_template: Path) -> None:
    stack.deploy(stack_template)
    before = stack.live()["Version"]
    stack.deploy(stack_template, Schedule="rate(2 minutes)")
    assert stack.live()["Version"] == before
