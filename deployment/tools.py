"""The tools that check and emulate a deployment: where they live, and how they are set up.

`python -m deployment.tools` (`make deploy-tools`) fills .venv-deploy/, one virtual environment a file of
deployment/requirements/, because their pins conflict. Nothing of it is needed to deploy.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from deployment.package import ROOT, Target, interpreter_of

REQUIREMENTS = ROOT / "deployment" / "requirements"
HOME = ROOT / ".venv-deploy"
NAMES = ("tools", "emulator", "checkov", "runtime")


def program(environment: str, name: str) -> Path:
    """Where a tool's program is once it is set up."""
    return HOME / environment / "bin" / name


def interpreter_for(environment: str) -> str:
    """Return Lambda's own minor version for the runtime client, where there is one; this Python for the rest."""
    return (interpreter_of(Target()) if environment == "runtime" else None) or sys.executable


def is_current(environment: str) -> bool:
    """Whether an environment was set up from the pins as they are now."""
    stamp = HOME / environment / ".installed"
    return stamp.is_file() and stamp.read_text() == _fingerprint(environment)


def set_up(environment: str) -> None:
    """Make an environment anew from its pins; raises subprocess.CalledProcessError when uv cannot."""
    folder = HOME / environment
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--require-hashes"]
    pins = ["--python", str(program(environment, "python")), "--requirement", str(REQUIREMENTS / f"{environment}.txt")]
    for command in ([interpreter_for(environment), "-m", "venv", "--clear", str(folder)], [*uv, *pins]):
        subprocess.run(command, check=True)  # noqa: S603 - a Python found by name, and our own words
    (folder / ".installed").write_text(_fingerprint(environment))


def _fingerprint(environment: str) -> str:
    pins = (REQUIREMENTS / f"{environment}.txt").read_bytes()
    return hashlib.sha256(pins).hexdigest() + "\n" + interpreter_for(environment)


def main() -> None:
    """Set up what is missing or outdated."""
    for environment in (name for name in NAMES if not is_current(name)):
        print(f"{environment}: installing", flush=True)  # noqa: T201 - a command
        set_up(environment)


if __name__ == "__main__":
    main()
