"""HTTP requests as each gateway hands them over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.triggers.trigger_samples import SAMPLES, sample

HTTP = [name for name, kind in SAMPLES.items() if kind.answers == "http"]
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


def headers(answer: Any) -> dict[str, str]:
    if "headers" in answer:
        found: dict[str, str] = answer["headers"]
        return found
    return {name: value for name, (value,) in answer["multiValueHeaders"].items()}
