"""`sam deploy --guided`, as docs/deploy.md tells a person to type it, on a terminal of its own."""

from __future__ import annotations

import re
import shutil
import tomllib
from typing import TYPE_CHECKING

import pytest

from deployment.package import ROOT
from tests.deployment.conftest import ARCHITECTURE
from tests.deployment.emulator import REGION
from tests.deployment.script import NAME
from tests.deployment.stacks import Stack, database_parameters, emulated, outputs
from tests.deployment.terminal import converse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Database
    from tests.deployment.emulator import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_somebody_who_presses_enter_gets_a_stack(
    cloud: Cloud, tool: Callable[[str, str], str], local_package: Path, fleet_database: Database, tmp_path: Path
) -> None:
    """Every question is asked once, and may be left as it is but for where the database is."""
    template = emulated(tmp_path, local_package)
    shutil.copy(ROOT / "samconfig.toml", tmp_path)
    given = {"Architecture": ARCHITECTURE} | database_parameters(fleet_database)
    asked: list[str] = []

    def answer(question: str) -> str:
        found = re.search(r"Parameter (\w+)", question)
        if found:
            assert found.group(1) not in asked, f"asked again: {found.group(1)}"
            asked.append(found.group(1))
            return given.get(found.group(1), "")
        return "y" if question.rstrip().endswith("[y/N]:") else ""

    command = [tool("tools", "sam"), "deploy", "--guided", "--template", template.name]
    environment = cloud.environment() | {"SAM_CLI_TELEMETRY": "0", "TERM": "dumb"}
    code, said = converse(command, environment, tmp_path, answer, 400)

    assert code == 0, said[-3000:]
    assert given.keys() <= set(asked)
    stack = Stack(NAME, cloud, tool, {"FunctionName": NAME})
    url = outputs(cloud, NAME)["Url"]
    assert stack.post(url, '{"device_id": "guided-1", "site_id": "building-g", "status": "ready"}')[0] == 200
    saved = tomllib.loads((tmp_path / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert saved["region"] == REGION
    assert f'Architecture="{ARCHITECTURE}"' in saved["parameter_overrides"]
