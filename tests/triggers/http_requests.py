"""HTTP requests as each gateway hands them over."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from tests.triggers.conftest import NOW
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


def response(name: str, status: int, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Return the whole answer to a gateway: the load balancer wants a description, and headers as it sends them."""
    headers = {"content-type": "application/json", "cache-control": "no-store"} | headers
    answer: dict[str, Any] = {"statusCode": status, "body": body | {"timestamp": NOW}, "isBase64Encoded": False}
    if name.startswith("load-balancer"):
        answer["statusDescription"] = f"{status} {HTTPStatus(status).phrase}"
    if name == "load-balancer-multi-value":
        return answer | {"multiValueHeaders": {header: [value] for header, value in headers.items()}}
    return answer | {"headers": headers}
