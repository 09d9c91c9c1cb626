"""The tools that check and emulate a deployment: where they live, and how they are set up.

`python -m deployment.tools` (`make deploy-tools`) fills .venv-deploy/, one virtual environment a file of
deployment/requirements/, because their pins conflict. Nothing of it is needed to deploy.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from deployment.target import Target, interpreter_of

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "deployment" / "requirements"
HOME = ROOT / ".venv-deploy"
NAMES = ("tools", "emulator", "checkov", "runtime")


def program(environment: str, name: str) -> Path:
    """Where a tool's program is once it is set up."""
    return HOME / environment / "bin" / name


def interpreter_for(environment: str) -> str:
    """The Python that an environment is made with.

    The runtime client runs under Lambda's own minor version where there is one: then what the tests start is what
    Lambda starts.
    """
    return (interpreter_of(Target()) if environment == "runtime" else None) or sys.executable


def is_current(environment: str) -> bool:
    """Whether an environment was set up from the pins as they are now."""
    stamp = HOME / environment / ".installed"
    return stamp.is_file() and stamp.read_text() == _fingerprint(environment)


def set_up(environment: str) -> None:
    """Make an environment anew from its pins; raises subprocess.CalledProcessError when pip cannot."""
    folder = HOME / environment
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([interpreter_for(environment), "-m", "venv", str(folder)], check=True)  # noqa: S603 - a Python found by name
    python, pins = str(folder / "bin" / "python"), str(REQUIREMENTS / f"{environment}.txt")
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "--quiet", "--python", python] if uv.exists() else [
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
    ]  # fmt: skip
    subprocess.run([*install, "--require-hashes", "--requirement", pins], check=True)  # noqa: S603 - our own words
    (folder / ".installed").write_text(_fingerprint(environment))


def _fingerprint(environment: str) -> str:
    pins = (REQUIREMENTS / f"{environment}.txt").read_bytes()
    return hashlib.sha256(pins).hexdigest() + "\n" + interpreter_for(environment)


def main() -> int:
    """Set up what is missing or outdated, and say what each took."""
    for environment in NAMES:
        if is_current(environment):
            sys.stdout.write(f"{environment}: there\n")
            continue
        sys.stdout.write(f"{environment}: installing\n")
        sys.stdout.flush()
        try:
            set_up(environment)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"deploy-tools: {environment} could not be set up: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
