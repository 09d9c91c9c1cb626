"""The judgement of others: AWS's own linters, checkov and shellcheck have nothing to say about what is deployed."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from deployment.package import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable


def says_nothing(*command: str) -> None:
    """Run a checker in the repository; its complaints are the test's failure."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SAM_CLI_TELEMETRY": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_cfn_lint_has_no_complaint(tool: Callable[[str, str], str]) -> None:
    """As SAM calls it, after its own reading of the template."""
    says_nothing(tool("tools", "sam"), "validate", "--lint", "--region", "eu-central-1", "--template", "template.yaml")


@pytest.mark.slow
def test_checkov_has_no_complaint(tool: Callable[[str, str], str]) -> None:
    says_nothing(tool("checkov", "checkov"), "--config-file", ".checkov.yaml")


def test_every_check_that_checkov_is_told_to_skip_has_its_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text().split("skip-check:\n")[1].splitlines()
    skipped = [number for number, line in enumerate(lines) if re.match(r"\s+- CKV", line)]
    assert skipped
    assert all(lines[number - 1].lstrip().startswith("#") for number in skipped)


def test_shellcheck_has_no_complaint_about_any_script(tool: Callable[[str, str], str]) -> None:
    scripts = [*ROOT.glob("*.sh"), ROOT / ".ci" / "run"]
    assert len(scripts) == 2
    says_nothing(tool("tools", "shellcheck"), *(str(script) for script in scripts))


def test_the_pins_of_the_tools_are_hashed_and_name_no_registry() -> None:
    for pins in (ROOT / "deployment" / "requirements").glob("*.txt"):
        text = pins.read_text()
        assert "://" not in text, f"{pins.name}: an address"
        packages = re.findall(r"^[A-Za-z0-9_.\-\[\]]+==", text, flags=re.MULTILINE)
        assert packages
        assert text.count("\\\n") >= len(packages), f"{pins.name}: a pin without a hash"
