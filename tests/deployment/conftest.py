"""The tools of `make deploy-tools`, the package for this machine, and an AWS emulator with a database behind it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deployment import tools
from deployment.package import ROOT, Target, build
from tests.conftest import Database, TestServer, _new_database
from tests.deployment.emulator import REGION, Cloud, running_emulator
from tests.deployment.script import PASSWORD
from tests.deployment.stacks import emulated
from tests.deployment.template import EXPAND
from tests.skips import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARCHITECTURE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
LOCAL_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="session")
def tool() -> Callable[[str, str], str]:
    """The path of a program of .venv-deploy, by environment and name."""

    def find(environment: str, name: str) -> str:
        if not tools.is_current(environment):
            skip_or_fail(f".venv-deploy/{environment} is missing or outdated", "`make deploy-tools`")
        return str(tools.program(environment, name))

    return find


@pytest.fixture(scope="session")
def aws_v1(tool: Callable[[str, str], str]) -> str:
    """AWS CLI version 1, from the package index."""
    return tool("tools", "aws")


def version_2() -> Path | None:
    """AWS CLI version 2, from Debian's package or whatever `aws` is on the PATH; it is not on the package index."""
    for candidate in ("/usr/bin/aws", shutil.which("aws")):
        if candidate and Path(candidate).exists():
            answer = subprocess.run([candidate, "--version"], check=False, capture_output=True, text=True)
            if answer.stdout.startswith("aws-cli/2."):
                return Path(candidate)
    return None


@pytest.fixture(scope="session")
def local_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, built for this machine's processor and this Python, which the emulator runs functions with."""
    output = tmp_path_factory.mktemp("package") / "local.zip"
    return build(Target(LOCAL_PYTHON, ARCHITECTURE), output)


@pytest.fixture(scope="session")
def fleet_database(server: TestServer, template: str) -> Iterator[Database]:
    """One database with the table and view for everything that is deployed in a run."""
    yield from _new_database(server, template)


@pytest.fixture(scope="module")
def cloud(tool: Callable[[str, str], str], aws_v1: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An emulated AWS region of the module's own, empty at first."""
    with running_emulator(tool("emulator", "ministack"), tmp_path_factory.mktemp("emulator")) as address:
        yield Cloud(address, version_2() or Path(aws_v1), tmp_path_factory.mktemp("cloud"))


@pytest.fixture(scope="session")
def checkout(tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as deploy.sh sees it, with the template as the emulator takes it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("deploy.sh", "deployment", "src"):
        (folder / name).symlink_to(ROOT / name)
    emulated(folder)
    return folder


@pytest.fixture(scope="module")
def settings(cloud: Cloud, local_package: Path, fleet_database: Database) -> dict[str, str]:
    """What a person would have exported, for the emulated account."""
    return (
        cloud.environment()
        | fleet_database.environment
        | {
            "REGION": REGION,
            "DB_PASSWORD": PASSWORD,
            "DB_SSLMODE": "disable",
            "PACKAGE": str(local_package),
            "ARCHITECTURE": ARCHITECTURE,
            "PYTHON": sys.executable,
        }
    )


@pytest.fixture(scope="session")
def transformed(tool: Callable[[str, str], str]) -> Callable[..., dict[str, Any]]:
    """The template as it is written and as SAM expands it with some parameters."""
    python = tool("tools", "python")

    def transform(**parameters: str) -> dict[str, Any]:
        answer = subprocess.run(
            [python, "-c", EXPAND, str(ROOT / "template.yaml"), json.dumps(parameters)],
            env={"AWS_DEFAULT_REGION": "eu-central-1", "PATH": ""},
            check=True,
            capture_output=True,
            text=True,
        )
        documents: dict[str, Any] = json.loads(answer.stdout)
        return documents

    return transform


@pytest.fixture(scope="session")
def both(transformed: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return transformed()


@pytest.fixture(scope="session")
def written(both: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = both["written"]
    return found


@pytest.fixture(scope="session")
def resources(both: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = both["expanded"]["Resources"]
    return found
