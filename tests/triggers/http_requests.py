"""HTTP requests as each gateway hands them over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.triggers.trigger_samples import SAMPLES, sample

HTTP = [name for name, trigger in SAMPLES.items() if trigger.answers == "http"]
on_every_gateway = pytest.mark.parametrize("name", HTTP)
BEAT = {"device_id": "d", "site_id": "s"}


def request(name: str, method: str, path: str, body: object = BEAT) -> Any:
    event = sample(name)
    if "httpMethod" in event:
        event |= {"httpMethod": method, "path": path}
    else:
        event["rawPath"] = path
        event["requestContext"]["http"] |= {"method": method, "path": path}
    return event | {"body": json.dumps(body), "isBase64Encoded": False}
