"""The zip that Lambda runs: what is in it, what is not, and that it can be made again."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deployment.package import LEFT_OUT, ROOT, PackageError, Target, build, interpreter_of, main
from tests.deployment.conftest import LOCAL_PYTHON

ARM = Target("3.13", "arm64")


@pytest.fixture(scope="module")
def arm_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make package` builds."""
    return build(ARM, tmp_path_factory.mktemp("arm") / "arm.zip")


@pytest.fixture(scope="module")
def names(arm_package: Path) -> set[str]:
    with zipfile.ZipFile(arm_package) as archive:
        return set(archive.namelist())


def test_the_same_commit_and_interpreter_give_the_same_bytes_under_eight_megabytes_and_it_says_so(
    arm_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again.zip"
    assert main(["--output", str(again)]) == 0
    assert again.read_bytes() == arm_package.read_bytes()
    size = again.stat().st_size
    assert size < 8_000_000
    assert f"{size:,} bytes of 8,000,000" in capsys.readouterr().out


def test_it_holds_the_entry_point_the_package_and_two_dependencies_and_nothing_else(names: set[str]) -> None:
    top = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert top - {"__pycache__"} == {
        "lambda_function.py",
        "hvac_heartbeat",
        "msgspec",
        "psycopg",
        "psycopg_binary",
        "psycopg_binary.libs",
    }


def test_no_command_migration_fleet_or_test_is_in_it(names: set[str]) -> None:
    ours = {name.split("/")[1] for name in names if name.startswith("hvac_heartbeat/")}
    assert not ours & (LEFT_OUT - {"__pycache__"})
    assert not {name for name in names if "tests/" in name or name.endswith((".pyi", "RECORD", "WHEEL"))}


def test_every_file_of_the_package_that_runs_in_lambda_is_in_it(names: set[str]) -> None:
    """Data beside the code counts too: the statements, and the certificate bundle."""
    source = ROOT / "src" / "hvac_heartbeat"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    needed = {path for path in files if not LEFT_OUT.intersection(path.parts)}
    assert Path("store/queries.sql") in needed
    assert {f"hvac_heartbeat/{path.as_posix()}" for path in needed} <= names


def test_native_code_is_for_the_target_and_not_for_this_machine(names: set[str]) -> None:
    native = {name for name in names if "cpython" in name and name.endswith(".so")}
    assert native
    assert all("cpython-313-aarch64" in name for name in native)


def test_the_target_gets_no_backport_that_only_an_older_python_needs(names: set[str]) -> None:
    """Pip alone would decide by the Python that it runs on."""
    assert "typing_extensions.py" not in names


def test_bytecode_is_there_and_trusted_without_a_look_at_the_source(arm_package: Path, names: set[str]) -> None:
    """Flags 1 are a hash that is not checked (PEP 552): Lambda's file times mean nothing."""
    compiled = "__pycache__/lambda_function.cpython-313.pyc"
    if interpreter_of(ARM) is None:
        assert compiled not in names
        return
    with zipfile.ZipFile(arm_package) as archive:
        assert int.from_bytes(archive.read(compiled)[4:8], "little") == 1
    assert "lambda_function.py" in names


def test_every_entry_has_the_same_time_and_can_be_read_by_everybody(arm_package: Path) -> None:
    """Lambda runs the code as another user than the one who unpacks it."""
    with zipfile.ZipFile(arm_package) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_the_packaged_driver_knows_its_own_version(local_package: Path, tmp_path: Path) -> None:
    """Psycopg reads it from its metadata, most of which is left out."""
    with zipfile.ZipFile(local_package) as archive:
        archive.extractall(tmp_path)
    question = "import json, psycopg as p; print(json.dumps([p.__version__, p.pq.__impl__, p.__file__]))"
    answer = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {question}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    version, implementation, file = json.loads(answer.stdout)
    assert version[0] == "3"
    assert implementation == "binary"
    assert file.startswith(str(tmp_path))


def test_a_folder_that_is_no_checkout_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="run this from a checkout"):
        build(Target(LOCAL_PYTHON, "x86_64"), tmp_path / "out.zip", tmp_path)
    assert not (tmp_path / "out.zip").exists()


def test_a_target_without_wheels_is_one_line_that_names_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--python", "3.7", "--output", str(tmp_path / "out.zip")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("package: pip found no matching wheels for python3.7 on arm64")
    assert said.count("\n") == 1
