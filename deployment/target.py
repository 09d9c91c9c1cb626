"""The machine that Lambda will run the package on, and how to get wheels and bytecode for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Amazon Linux 2023, which python3.12 and later run on, has glibc 2.34. psycopg-binary's arm64
# wheels are tagged 2_28; pip does not take an older tag unless it is named as well.
PLATFORM_TAGS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """A Lambda runtime: Python's minor version and the processor, as Lambda names it."""

    python: str = "3.13"
    architecture: str = "arm64"

    @property
    def machine(self) -> str:
        """The processor as wheels and environment markers name it."""
        return MACHINES[self.architecture]

    def __str__(self) -> str:
        """As `make package` prints it."""
        return f"python{self.python} on {self.architecture}"


# pip evaluates markers for the Python it runs on, not for --python-version, so a pin for an older
# Python would slip in: the pins are filtered for the target first, with pip's own parser.
_FILTER = """
import sys
from pip._vendor.packaging.requirements import Requirement
python, machine, source, chosen = sys.argv[1:]
environment = {
    "python_version": python, "python_full_version": python + ".0", "platform_machine": machine,
    "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
    "implementation_name": "cpython", "platform_python_implementation": "CPython",
}
pins = open(source).read().replace("\\\\\\n", " ").splitlines()
with open(chosen, "w") as output:
    for pin in pins:
        pin = pin.strip()
        if pin and not pin.startswith(("#", "-")):
            marker = Requirement(pin.split(" --hash")[0].split(" #")[0]).marker
            if marker is None or marker.evaluate(environment):
                output.write(pin + "\\n")
"""


def install_requirements(target: Target, requirements: Path, folder: Path) -> None:
    """Install the hashed pins that hold for `target` under `folder`, from binary wheels only.

    Raises subprocess.CalledProcessError with pip's words in `stderr`, or OSError without the file.
    """
    requirements.stat()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hvac-requirements-") as scratch:
        chosen = Path(scratch) / "requirements.txt"
        _run_pip_python(["-c", _FILTER, target.python, target.machine, str(requirements), str(chosen)])
        _run_pip_python(
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps",
             "--require-hashes", "--only-binary", ":all:", "--implementation", "cp",
             "--python-version", target.python, "--target", str(folder), "--requirement", str(chosen),
             *(f"--platform={tag}_{target.machine}" for tag in PLATFORM_TAGS)]
        )  # fmt: skip


def _run_pip_python(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)  # noqa: S603 - our own words


def interpreter_of(target: Target) -> str | None:
    """The path of a Python of the target's minor version on this machine, or None.

    PACKAGE_PYTHON names one outright. A pyenv shim answers only for the versions that pyenv was
    told to use, so the versions themselves are looked at too. Bytecode is the same on every processor.
    """
    name = f"python{target.python}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        os.environ.get("PACKAGE_PYTHON"),
        sys.executable,
        shutil.which(name),
        *(str(path) for path in sorted(pyenv.glob(f"{target.python}.*/bin/{name}"))),
    ]
    return next((path for path in candidates if path and _version_of(path) == target.python), None)


def _version_of(interpreter: str) -> str | None:
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([interpreter, "-c", question], check=True, capture_output=True, text=True)  # noqa: S603 - a Python that was found by name
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
