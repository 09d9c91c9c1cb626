"""Events that are not meant for this function are refused with a clear answer, and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers.answers import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function

UNKNOWN: dict[str, object] = {
    "nothing": {},
    "null": None,
    "a string": "device_id",
    "a number": 7,
    "a fraction": 0.5,
    "true": True,
    "an empty list": [],
    "an S3 event": {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-01-05T12:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "device_id"}, "object": {"key": "site_id"}},
            }
        ]
    },
    "a DynamoDB stream": {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"NewImage": {}}}]},
    "a Cognito trigger": {
        "version": "1",
        "triggerSource": "PreSignUp_SignUp",
        "userPoolId": "eu-central-1_EXAMPLE",
        "userName": "hvac-001",
        "request": {"userAttributes": {}},
        "response": {},
    },
    "a WebSocket message": {"requestContext": {"connectionId": "c", "routeKey": "$default"}, "body": "{}"},
    "a VPC Lattice request": {
        "version": "2.0",
        "path": "/heartbeat",
        "method": "POST",
        "requestContext": {},
        "body": "{}",
    },
    "an S3 event over EventBridge": {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-05T12:00:00Z",
        "detail": {"bucket": {"name": "b"}},
    },
    "a CloudWatch Logs event": {"awslogs": {"data": "H4sIAAAAAAAAAA=="}},
    "no records": {"Records": []},
    "records of no source": {"Records": [{}]},
    "records that are no list": {"Records": {"eventSource": "aws:sqs"}},
    "Kafka without records": {"eventSource": "aws:kafka", "records": None},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_event_is_refused_with_400_and_nothing_is_written(
    name: str, function: Function, seen: Callable[[], dict[str, Any]]
) -> None:
    message = 'The event holds no heartbeats: send one object with device_id and site_id, or {"devices": [...]}'
    assert function(UNKNOWN[name]) == {"statusCode": 400, "body": body(message)}
    (line,) = function.log()
    assert (line["trigger"], line["refused"], line["database_ms"]) == ("unknown", 400, 0)
    assert not seen()


def test_an_unknown_event_is_refused_even_while_the_settings_are_unusable(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not be taken later either, so there is nothing to retry."""
    monkeypatch.delenv("DB_HOST")
    assert function({})["statusCode"] == 400
