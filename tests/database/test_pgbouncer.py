"""PgBouncer in transaction mode, without prepared statements, standing in for RDS Proxy: the ingest suite through it.

The tests come from the modules that hold them; only the way to the database is another one here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest

from hvac_heartbeat.heartbeat import Heartbeat
from hvac_heartbeat.local import programs
from hvac_heartbeat.local.checkup.examination import examine
from hvac_heartbeat.settings import Settings
from hvac_heartbeat.store.database import Database as StoreDatabase
from hvac_heartbeat.store.device_state import DeviceState
from tests.database import test_bad_input, test_laws, test_one_or_many
from tests.database.debian import pgbouncer
from tests.database.ledger_law import test_foreign_tables
from tests.database.refusals import test_foreign_keys, test_other_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database, TestServer


def _is_fixture(found: object) -> bool:
    return type(found).__name__ == "FixtureFunctionDefinition"


# Collected here once more, with this module's `environment`.
for _module in (
    test_bad_input,
    test_laws,
    test_one_or_many,
    test_foreign_keys,
    test_other_refusals,
    test_foreign_tables,
):
    globals().update(
        {name: found for name, found in vars(_module).items() if name.startswith("test_") or _is_fixture(found)}
    )

CLIENTS, SERVER_CONNECTIONS, BATCHES = 200, 10, 3
# Nothing is ignored at login, as RDS Proxy refuses what it does not know, and nothing is reset between clients.
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 300
server_reset_query =
logfile = {folder}/pgbouncer.log
"""


@pytest.fixture(scope="module")
def bouncer(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a PgBouncer's socket, in front of this run's server."""
    program = pgbouncer()
    with psycopg.connect(server.conninfo) as connection:
        host, port, user = connection.info.host, connection.info.port, connection.info.user
    folder = tmp_path_factory.mktemp("bouncer")
    configuration = CONFIGURATION.format(host=host, port=port, folder=folder, pool=SERVER_CONNECTIONS)
    (folder / "pgbouncer.ini").write_text(configuration)
    (folder / "users.txt").write_text(f'"{user}" ""\n')
    account = programs.server_account()
    if account is not None:
        shutil.chown(folder, user=account)
        for path in folder.parents:
            if path.name.startswith(("pytest-", "popen-")):
                path.chmod(0o711)
    process = subprocess.Popen(
        [program, folder / "pgbouncer.ini"],
        user=account,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not (folder / ".s.PGSQL.6432").exists():
        assert process.poll() is None, (folder / "pgbouncer.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield folder
    process.terminate()
    process.wait(10)


@pytest.fixture
def environment(database: Database, bouncer: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The DB_* variables that lead through PgBouncer."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    variables = database.environment | {"DB_HOST": str(bouncer), "DB_PORT": "6432"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_check_sees_that_a_pooler_stands_in_between(environment: dict[str, str]) -> None:
    [pooler] = [found for found in examine(Settings.from_environment(environment)) if found.subject == "pooler"]
    assert "in between" in pooler.found


def test_two_hundred_clients_share_ten_server_connections(environment: dict[str, str], database: Database) -> None:
    """Every client is connected at once, and every batch of every one arrives."""
    settings = Settings.from_environment(environment)
    barrier = threading.Barrier(CLIENTS)
    failures: list[BaseException] = []

    def client(number: int) -> None:
        connected = StoreDatabase(settings)
        try:
            connected.run("SELECT 1", time.monotonic() + 60)
            barrier.wait(60)
            for batch in range(BATCHES):
                heartbeats = [Heartbeat(f"d{number:03}", f"batch {batch}"), Heartbeat("shared", f"client {number}")]
                DeviceState(connected).write(heartbeats, time.monotonic() + 60)
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            failures.append(error)
        finally:
            connected.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    most = 0
    with database.connect() as admin:
        while any(thread.is_alive() for thread in threads):
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            ).fetchone()
            most = max(most, row[0] if row else 0)
            time.sleep(0.05)
        for thread in threads:
            thread.join()
        assert not failures, Counter(map(str, failures))
        rows = admin.execute("SELECT device_id, site_id FROM device_state").fetchall()
    found: dict[str, str] = dict(rows)
    assert found.pop("shared").startswith("client")
    assert found == {f"d{number:03}": f"batch {BATCHES - 1}" for number in range(CLIENTS)}
    assert 0 < most <= SERVER_CONNECTIONS
