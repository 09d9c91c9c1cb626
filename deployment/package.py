"""Build the zip that Lambda runs: the same commit and interpreter give the same bytes.

`python -m deployment.package` builds for python3.13 on arm64 unless told otherwise, from the target's own wheels.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from pip._vendor.packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUTPUT = ROOT / "dist" / "hvac-heartbeat.zip"
LIMIT_BYTES = 8_000_000
# Commands, migrations and the local fleet need packages that are not shipped.
LEFT_OUT = frozenset({"cli.py", "cli", "local", "schema", "__pycache__", "py.typed"})
# The licences stay because LGPL asks for it; METADATA because psycopg reads its own version.
DIST_INFO_KEPT = ("METADATA", "LICENSE", "COPYING")
# Amazon Linux 2023, which python3.12 and later run on, has glibc 2.34. psycopg-binary's arm64 wheels are tagged 2_28;
# pip does not take an older tag unless it is named as well.
PLATFORM_TAGS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's names of processors, and those of wheels


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""


class Target(NamedTuple):
    """A Lambda runtime: Python's minor version and the processor, as Lambda names it."""

    python: str = "3.13"
    architecture: str = "arm64"


def build(target: Target, output: Path = DEFAULT_OUTPUT, root: Path = ROOT) -> Path:
    """Build the zip for `target` at `output`, replacing it only when everything went well.

    Raises PackageError when a wheel is missing for the target or the zip is over 8 MB.
    """
    with tempfile.TemporaryDirectory(prefix="hvac-package-") as folder:
        stage = Path(folder) / "task"
        install_dependencies(target, root / "requirements.txt", stage)
        copy_sources(root, stage)
        compile_sources(target, stage)
        made = Path(folder) / "package.zip"
        write_zip(stage, made)
        if (size := made.stat().st_size) > LIMIT_BYTES:
            raise PackageError(f"the zip is {size} bytes, over {LIMIT_BYTES}: look for a new dependency in it")
        output.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(made, output))


def pins_for(target: Target, requirements: Path) -> str:
    """Return the pins that hold for the target: pip evaluates markers for the Python that it runs on."""
    python, machine = target.python, MACHINES[target.architecture]
    there = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    there |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    pins = [pin for pin in requirements.read_text().replace("\\\n", " ").splitlines() if pin[:1].isalnum()]
    markers = [Requirement(pin.split(" --hash")[0]).marker for pin in pins]
    return "\n".join(pin for pin, marker in zip(pins, markers, strict=True) if not marker or marker.evaluate(there))


def install_dependencies(target: Target, requirements: Path, stage: Path) -> None:
    """Put the pinned wheels of the target under `stage`, without what only pip needs."""
    if not requirements.is_file():
        raise PackageError(f"{requirements} cannot be read: run this from a checkout of the repository")
    stage.mkdir()
    chosen, machine = stage.with_name("requirements.txt"), MACHINES[target.architecture]
    chosen.write_text(pins_for(target, requirements))
    install = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python,
        "--target", str(stage), "--requirement", str(chosen), *(f"--platform={tag}_{machine}" for tag in PLATFORM_TAGS),
    ]  # fmt: skip
    try:
        subprocess.run(install, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    except subprocess.CalledProcessError as error:
        why = f"python{target.python} on {target.architecture}: {error.stderr.strip().splitlines()[-1]}"
        raise PackageError(f"pip found no matching wheels for {why}") from error
    shutil.rmtree(stage / "bin", ignore_errors=True)
    for path in list(filter(Path.is_file, stage.rglob("*"))):
        unwanted_metadata = path.parent.suffix == ".dist-info" and not path.name.startswith(DIST_INFO_KEPT)
        if unwanted_metadata or path.suffix == ".pyi" or path.name == "py.typed":
            path.unlink()


def copy_sources(root: Path, stage: Path) -> None:
    """Copy the entry point and the package, less what only a developer's machine runs."""
    shutil.copyfile(root / "lambda_function.py", stage / "lambda_function.py")
    shutil.copytree(root / "src" / "hvac_heartbeat", stage / "hvac_heartbeat", ignore=shutil.ignore_patterns(*LEFT_OUT))


def compile_sources(target: Target, stage: Path) -> None:
    """Compile with the target's interpreter where there is one.

    Unchecked hashes: Lambda's file times mean nothing, and nothing edits the sources there.
    """
    unchecked = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    # Sets of constants are written in hash order.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    if interpreter := interpreter_of(target):
        subprocess.run([interpreter, *unchecked, "-s", stage, "-p", "/var/task", stage], check=True, env=environment)  # noqa: S603 - found by name


def interpreter_of(target: Target) -> str | None:
    """Return a Python of the target's minor version on this machine, or None; PACKAGE_PYTHON names one outright.

    A pyenv shim answers only for the versions that pyenv was told to use, so the versions themselves are looked at too.
    """
    name, question = f"python{target.python}", "import sys; print('%d.%d' % sys.version_info[:2])"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = (os.environ.get("PACKAGE_PYTHON", ""), sys.executable, name)
    for candidate in filter(shutil.which, (*named, *map(str, pyenv.glob(f"{target.python}.*/bin/{name}")))):
        answer = subprocess.run([candidate, "-c", question], check=False, capture_output=True, text=True)  # noqa: S603 - found by name
        if answer.stdout.strip() == target.python:
            return candidate
    return None


def write_zip(stage: Path, output: Path) -> None:
    """Write every file with a fixed time and mode, in a fixed order."""
    with zipfile.ZipFile(output, "w") as archive:
        for path in sorted(filter(Path.is_file, stage.rglob("*")), key=Path.as_posix):
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), (1980, 1, 1, 0, 0, 0))  # the format's first
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=9)


def main(arguments: list[str] | None = None) -> int:
    """Build as the command line says; 0 when the zip is there, 1 with one line when not."""
    parser = argparse.ArgumentParser(prog="python -m deployment.package", description=__doc__)
    parser.add_argument("--architecture", choices=tuple(MACHINES), default="arm64")
    parser.add_argument("--python", default="3.13", metavar="MAJOR.MINOR")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args(arguments)
    target = Target(options.python, options.architecture)
    try:
        package = build(target, options.output)
    except PackageError as error:
        sys.stderr.write(f"package: {error}\n")
        return 1
    bytecode = "with" if interpreter_of(target) else f"without (PACKAGE_PYTHON may name a python{target.python})"
    size, sha = package.stat().st_size, hashlib.sha256(package.read_bytes()).hexdigest()
    sys.stdout.write(f"{package}: {size:,} bytes of {LIMIT_BYTES:,}, {bytecode} bytecode\nsha256 {sha}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
