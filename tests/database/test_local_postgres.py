"""The throwaway server: it starts anywhere, survives a crash, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from hvac_heartbeat.local.postgres import PostgresServer, ServerError
from hvac_heartbeat.local.programs import ProgramsError

BINDIR = Path(os.environ["TEST_POSTGRES_BINDIR"]) if os.environ.get("TEST_POSTGRES_BINDIR") else None


def test_it_answers_on_a_socket_and_on_no_port() -> None:
    with PostgresServer(BINDIR) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_with_tcp_it_listens_on_this_machine_alone_and_keeps_its_port_over_a_restart() -> None:
    with PostgresServer(BINDIR, tcp=True) as server:
        port = server.port
        server.restart()
        with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres") as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


def test_settings_override_the_defaults() -> None:
    with (
        PostgresServer(BINDIR, settings={"max_connections": "17"}) as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)


def test_what_was_committed_survives_a_crash() -> None:
    with PostgresServer(BINDIR) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
            server.kill()
        assert server.pid is None
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_closed_server_leaves_no_folder_and_no_program_behind() -> None:
    with PostgresServer(BINDIR) as server:
        folder, pid = server.folder, server.pid
        assert pid is not None
    assert not folder.exists()
    assert not _is_running(pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_owner_however_that_one_ends(how: signal.Signals) -> None:
    program = (
        "import sys, time; from pathlib import Path; from hvac_heartbeat.local.postgres import PostgresServer\n"
        "bindir = Path(sys.argv[1]) if sys.argv[1:] else None\n"
        "server = PostgresServer(bindir).start(); print(server.pid, server.folder, flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", program, *([str(BINDIR)] if BINDIR else [])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        owner.send_signal(how)
    deadline = time.monotonic() + 15
    while (_is_running(int(pid)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(int(pid))
    assert not Path(folder).exists()


def test_a_server_that_cannot_start_says_what_its_log_says() -> None:
    with pytest.raises(ServerError, match="no_such_setting"), PostgresServer(BINDIR, settings={"no_such_setting": "1"}):
        pass


def test_a_folder_without_a_server_in_it_is_said_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = tempfile.mkdtemp

    def mkdtemp(*, prefix: str, dir: Path) -> str:  # noqa: A002 - tempfile's own name
        made.append(original(prefix=prefix, dir=dir))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with pytest.raises(ProgramsError, match="no PostgreSQL server program in /nowhere"):
        PostgresServer(Path("/nowhere"))
    assert [Path(folder).exists() for folder in made] == [False]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
