"""Where the envelope carries an authenticated identity, the body may not contradict it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.settings import Settings
from tests.triggers.answers import body, complaint, none_accepted
from tests.triggers.trigger_samples import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.triggers.conftest import Function

IAM = {"accessKey": "AK", "accountId": "1", "userArn": "arn:d1", "userId": "d1", "callerId": "d1"}
CERTIFICATE = {"subjectDN": "CN=d1", "serialNumber": "1"}


def _http_api(**context: object) -> Any:
    event = sample("http-api")
    event["requestContext"]["authorizer"] = None
    event["requestContext"] |= context
    return event


def _rest_api(*, authorizer: object = None, **identity: object) -> Any:
    event = sample("rest-api")
    event["requestContext"]["authorizer"] = authorizer
    event["requestContext"]["identity"] |= identity
    return event


# What names the device d1, by authorizer: the claim's path and a request that carries it.
CALLERS: dict[str, tuple[str, Any]] = {
    "HTTP API, JWT": ("jwt.claims.sub", _http_api(authorizer={"jwt": {"claims": {"sub": "d1"}, "scopes": None}})),
    "HTTP API, JWT, bare name": ("sub", _http_api(authorizer={"jwt": {"claims": {"sub": "d1"}}})),
    "HTTP API, JWT, a claim named by a URL": (
        "jwt.claims.https://x.example/device",
        _http_api(authorizer={"jwt": {"claims": {"https://x.example/device": "d1"}}}),
    ),
    "HTTP API, IAM": ("iam.userId", _http_api(authorizer={"iam": IAM})),
    "HTTP API, IAM role": ("iam.sessionName", _http_api(authorizer={"iam": IAM | {"userId": "AROAEXAMPLE:d1"}})),
    "HTTP API, Lambda authorizer": ("lambda.deviceId", _http_api(authorizer={"lambda": {"deviceId": "d1"}})),
    "HTTP API, mTLS": (
        "clientCert.subjectDN",
        _http_api(authentication={"clientCert": CERTIFICATE | {"subjectDN": "d1"}}),
    ),
    "REST API, Cognito": ("jwt.claims.sub", _rest_api(authorizer={"claims": {"sub": "d1"}})),
    "REST API, Cognito, bare name": ("sub", _rest_api(authorizer={"claims": {"sub": "d1"}})),
    "REST API, IAM": ("iam.userId", _rest_api(accessKey="AK", user="d1", caller="c", userArn="arn:d1")),
    "REST API, IAM role": ("iam.sessionName", _rest_api(accessKey="AK", user="AROAEXAMPLE:d1")),
    "REST API, IAM, caller": ("iam.callerId", _rest_api(accessKey="AK", user="u", caller="d1")),
    "REST API, Lambda authorizer": ("lambda.deviceId", _rest_api(authorizer={"principalId": "p", "deviceId": "d1"})),
    "REST API, mTLS": ("clientCert.subjectDN", _rest_api(clientCert={"subjectDN": "d1"})),
}
by_every_authorizer = pytest.mark.parametrize("caller", CALLERS)


def _send(function: Function, event: Any, body: object) -> tuple[int, dict[str, Any]]:
    answer = function(event | {"body": json.dumps(body)})
    return answer["statusCode"], answer["body"]


@by_every_authorizer
def test_a_device_may_speak_for_itself_and_need_not_name_itself(
    caller: str, function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    claim, event = CALLERS[caller]
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", claim)
    assert _send(function, event, {"device_id": " d1 ", "site_id": "s"})[0] == 200
    assert _send(function, event, {"site_id": "s"})[0] == 200
    assert list(seen()) == ["d1"]


@by_every_authorizer
def test_a_device_may_not_speak_for_another(
    caller: str, function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    claim, event = CALLERS[caller]
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", claim)
    rejection = complaint(0, "d2", "device_id", "is not the one that the sender is authenticated for")
    assert _send(function, event, {"device_id": "d2", "site_id": "s"}) == (403, none_accepted(rejection))
    assert not seen()
    status, body = _send(function, event, [{"device_id": name, "site_id": "s"} for name in ("d2", "d1", "D1")])
    assert status == 207
    assert [found["index"] for found in body["rejected"]] == [0, 2]
    assert list(seen()) == ["d1"]


@by_every_authorizer
def test_a_configured_claim_that_is_absent_is_401(
    caller: str, function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "jwt.claims.other")
    message = "The caller's identity names no device: authenticate as one"  # and not how that is configured
    assert _send(function, CALLERS[caller][1], {"device_id": "d1", "site_id": "s"}) == (401, body(message))
    assert not seen()


@pytest.mark.parametrize("user", [None, 7, "", "AROAEXAMPLE", "AROAEXAMPLE:", "AIDAEXAMPLE", "123456789012:d1", "d1"])
def test_only_who_assumes_a_role_has_a_session_name(
    user: object, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A federated user's id has a colon too, and his name behind it: `account:caller-specified-name`."""
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "iam.sessionName")
    for event in (_http_api(authorizer={"iam": IAM | {"userId": user}}), _rest_api(accessKey="AK", user=user)):
        assert _send(function, event, {"device_id": "d1", "site_id": "s"})[0] == 401


@pytest.mark.parametrize("claim", [None, "", " ", [], {}, True, 1.5, "x" * 257])
def test_a_claim_that_can_be_no_identity_is_401(
    claim: object, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "sub")
    event = _http_api(authorizer={"jwt": {"claims": {"sub": claim}}})
    assert _send(function, event, {"device_id": "d1", "site_id": "s"})[0] == 401


@pytest.mark.parametrize("name", ["http-api", "rest-api", "load-balancer"])
@pytest.mark.parametrize("authorizer", [None, 7, "jwt", [], {"jwt": None, "claims": None}, {"jwt": {"claims": 7}}])
def test_an_authorizer_of_any_shape_is_no_exception(
    name: str, authorizer: object, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "jwt.claims.sub")
    event = sample(name)
    event["requestContext"] |= {"authorizer": authorizer, "authentication": authorizer, "identity": authorizer}
    assert _send(function, event, {"device_id": "hvac-001", "site_id": "s"})[0] == 401


def test_site_and_device_are_bound_together(
    function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "sub")
    monkeypatch.setenv("HEARTBEAT_SITE_CLAIM", "jwt.claims.site")
    event = sample("http-api")
    assert _send(function, event, {"status": "ready"})[0] == 200
    status, body = _send(function, event, {"site_id": "building-b"})
    assert (status, body["rejected"][0]["field"]) == (403, "site_id")
    assert list(seen()) == ["hvac-001"]


def test_a_gateway_bound_to_its_site_may_speak_for_its_devices(
    function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setenv("HEARTBEAT_SITE_CLAIM", "jwt.claims.site")
    body = {
        "devices": [{"device_id": "a"}, {"device_id": "b", "site_id": "building-a"}, {"device_id": "c", "site_id": 1}]
    }
    assert _send(function, sample("http-api"), body)[0] == 207
    assert list(seen()) == ["a", "b"]


def test_what_the_client_says_of_itself_is_no_identity(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without IAM authorization a REST API's `identity` holds the client's address and user agent."""
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "iam.userAgent")
    assert _send(function, _rest_api(userAgent="d1"), {"device_id": "d1", "site_id": "s"})[0] == 401


def test_the_topic_of_an_iot_rule_cannot_be_claimed_over_http(
    function: Function, monkeypatch: pytest.MonkeyPatch, seen: Callable[[], dict[str, Any]]
) -> None:
    monkeypatch.setenv("HEARTBEAT_DEVICE_CLAIM", "sub")
    body = {"device_id": "hvac-001", "site_id": "s", "topic_device": "d2"}
    assert _send(function, sample("http-api"), body)[0] == 200
    assert list(seen()) == ["hvac-001"]


@pytest.mark.parametrize("path", [".", "jwt.", ".sub", "jwt..sub", " "])
def test_a_claim_that_is_no_path_is_a_clear_error(path: str, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_DEVICE_CLAIM"):
        Settings.from_environment(environment | {"HEARTBEAT_DEVICE_CLAIM": path})
