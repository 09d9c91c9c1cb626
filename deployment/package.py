"""Build the zip that Lambda runs: the same commit and interpreter give the same bytes.

`python -m deployment.package` builds for python3.13 on arm64; `--architecture x86_64` and
`--python 3.12` choose another target. No Docker: pip takes the target's own wheels, pinned and
hashed in requirements.txt.
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
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deployment.target import Target, install_requirements, interpreter_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUTPUT = ROOT / "dist" / "hvac-heartbeat.zip"
LIMIT_BYTES = 8_000_000
# Commands, migrations and the local fleet need packages that are not shipped.
LEFT_OUT = frozenset({"cli.py", "cli", "local", "schema", "__pycache__", "py.typed"})
# The licences stay because LGPL asks for it; METADATA because psycopg reads its own version.
DIST_INFO_KEPT = ("METADATA", "LICENSE", "COPYING")
# The zip format cannot say an earlier time; any fixed one would do.
ENTRY_TIME = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The package cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """What was built: where, how large, and which part of it came from where."""

    path: Path
    sha256: str
    size: int
    parts: dict[str, tuple[int, int]]
    compiled: bool


def build(target: Target, output: Path = DEFAULT_OUTPUT, root: Path = ROOT) -> Package:
    """Build the zip for `target` at `output`, replacing it only when everything went well.

    Raises PackageError when a wheel is missing for the target or the zip is over 8 MB.
    """
    with tempfile.TemporaryDirectory(prefix="hvac-package-") as folder:
        stage = Path(folder) / "task"
        install_dependencies(target, root / "requirements.txt", stage)
        copy_sources(root, stage)
        compiled = compile_sources(target, stage)
        made = Path(folder) / "package.zip"
        write_zip(stage, made)
        content = made.read_bytes()
        if len(content) > LIMIT_BYTES:
            message = f"the zip is {len(content)} bytes, over {LIMIT_BYTES}: look for a new dependency in it"
            raise PackageError(message)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, output)
        return Package(output, hashlib.sha256(content).hexdigest(), len(content), sizes(stage), compiled)


def install_dependencies(target: Target, requirements: Path, stage: Path) -> None:
    """Put the pinned wheels of the target under `stage`, without what only pip needs."""
    try:
        install_requirements(target, requirements, stage)
    except subprocess.CalledProcessError as error:
        message = f"pip found no matching wheels for {target}: {error.stderr.strip().splitlines()[-1]}"
        raise PackageError(message) from error
    except OSError as error:
        message = f"{requirements} cannot be read: run this from a checkout of the repository"
        raise PackageError(message) from error
    shutil.rmtree(stage / "bin", ignore_errors=True)
    for path in sorted(stage.rglob("*")):
        unwanted_metadata = path.parent.suffix == ".dist-info" and not path.name.startswith(DIST_INFO_KEPT)
        if path.is_file() and (unwanted_metadata or path.suffix == ".pyi" or path.name == "py.typed"):
            path.unlink()


def copy_sources(root: Path, stage: Path) -> None:
    """Copy the entry point and the package, less what only a developer's machine runs."""
    entry_point, package = root / "lambda_function.py", root / "src" / "hvac_heartbeat"
    if not entry_point.is_file() or not package.is_dir():
        message = (
            f"{root} holds no lambda_function.py and src/hvac_heartbeat: run this from a checkout of the repository"
        )
        raise PackageError(message)
    shutil.copyfile(entry_point, stage / entry_point.name)
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        if path.is_file() and not LEFT_OUT.intersection(inside.parts):
            copy = stage / "hvac_heartbeat" / inside
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def compile_sources(target: Target, stage: Path) -> bool:
    """Compile with the target's interpreter where there is one, and say whether there was.

    Unchecked hashes: Lambda's file times mean nothing, and nothing edits the sources there.
    """
    for cache in sorted(stage.rglob("__pycache__")):
        shutil.rmtree(cache)
    interpreter = interpreter_of(target)
    if interpreter is None:
        return False
    subprocess.run(  # noqa: S603 - an interpreter that was just asked for its version
        [interpreter, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
         "-s", str(stage), "-p", "/var/task", str(stage)],
        check=True,
        # Sets of constants are written in hash order.
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return True


def files_of(stage: Path) -> Iterator[Path]:
    """Every file under `stage`, in the order of its name in the zip."""
    return iter(sorted((path for path in stage.rglob("*") if path.is_file()), key=lambda path: path.as_posix()))


def write_zip(stage: Path, output: Path) -> None:
    """Write every file with a fixed time and mode, in a fixed order."""
    with zipfile.ZipFile(output, "w") as archive:
        for path in files_of(stage):
            entry = zipfile.ZipInfo(path.relative_to(stage).as_posix(), ENTRY_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=9)


def sizes(stage: Path) -> dict[str, tuple[int, int]]:
    """Files and bytes, before compression, of each top-level part of the package."""
    files: Counter[str] = Counter()
    volume: Counter[str] = Counter()
    for path in files_of(stage):
        part = path.relative_to(stage).parts[0]
        files[part] += 1
        volume[part] += path.stat().st_size
    return {part: (files[part], volume[part]) for part in sorted(files)}


def report(package: Package, target: Target) -> str:
    """The table that `make package` prints."""
    lines = [f"{package.path}  for {target}", "", f"{'':34}{'files':>6}{'bytes':>12}"]
    lines += [f"  {part:32}{count:6}{volume:12,}" for part, (count, volume) in package.parts.items()]
    compiled = "with" if package.compiled else f"without (no python{target.python} at hand; PACKAGE_PYTHON names one)"
    lines += [
        "",
        f"  zip     {package.size:,} bytes of {LIMIT_BYTES:,}",
        f"  sha256  {package.sha256}",
        f"  .pyc    {compiled}",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Build as the command line says; 0 when the zip is there, 1 with one line when not."""
    parser = argparse.ArgumentParser(prog="python -m deployment.package", description=__doc__)
    parser.add_argument("--architecture", choices=("arm64", "x86_64"), default="arm64")
    parser.add_argument("--python", default="3.13", metavar="MAJOR.MINOR")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args(arguments)
    target = Target(python=options.python, architecture=options.architecture)
    try:
        package = build(target, options.output)
    except PackageError as error:
        sys.stderr.write(f"package: {error}\n")
        return 1
    sys.stdout.write(report(package, target) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
