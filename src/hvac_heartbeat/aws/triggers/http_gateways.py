"""The four ways in over HTTP: HTTP API and Function URL, REST API, and the Application Load Balancer."""

from __future__ import annotations

from typing import Any

from hvac_heartbeat.aws.envelopes import clock, get_object
from hvac_heartbeat.aws.triggers.http import Http, Request


class HttpApi(Http):
    """API Gateway HTTP API and Lambda Function URL.

    Source: "Create AWS Lambda proxy integrations for HTTP APIs" (payload format 2.0), API Gateway Developer Guide. VPC
    Lattice says `version` 2.0 too, but has no `requestContext.http`.
    """

    name = "http-api"
    caller_timeout_s = 27.0  # an HTTP API gives up after 30 s, and part of those were spent before we were called

    @classmethod
    def recognises(cls, event: Any) -> bool:
        context = get_object(event, "requestContext")
        return isinstance(context.get("http"), dict) and event.get("version") == "2.0"

    def read_request(self) -> Request:
        context = self.event["requestContext"]
        authorizer = get_object(context, "authorizer")
        caller = authorizer | {
            "iam": _with_session(get_object(authorizer, "iam")),
            "clientCert": get_object(get_object(context, "authentication"), "clientCert"),
        }
        path = self.event.get("rawPath", context["http"].get("path"))
        return Request(context["http"].get("method"), path, clock(context.get("timeEpoch")), caller)  # milliseconds


class RestApi(Http):
    """API Gateway REST API, and an HTTP API with payload format 1.0.

    Source: "Lambda proxy integrations in API Gateway", API Gateway Developer Guide.
    """

    name = "rest-api"
    caller_timeout_s = 26.0  # a REST API gives up after 29 s

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return isinstance(event, dict) and "httpMethod" in event and isinstance(event.get("requestContext"), dict)

    def read_request(self) -> Request:
        context = self.event["requestContext"]
        authorizer, identity = get_object(context, "authorizer"), get_object(context, "identity")
        signed = identity.get("accessKey") is not None or identity.get("cognitoIdentityId") is not None
        iam = identity | {"userId": identity.get("user"), "callerId": identity.get("caller")}
        caller = {
            "jwt": {"claims": authorizer.get("claims")},
            "lambda": {key: value for key, value in authorizer.items() if key != "claims"},
            # Without IAM authorization what is in `identity` is the client's own word or null.
            "iam": _with_session(iam) if signed else {},
            "clientCert": get_object(identity, "clientCert"),
        }
        arrived = clock(context.get("requestTimeEpoch"))  # milliseconds
        return Request(self.event["httpMethod"], self.event.get("path"), arrived, caller)


def _with_session(iam: dict[str, Any]) -> dict[str, Any]:
    """Add `sessionName`: who assumes a role is `AROA…:session-name` ("IAM identifiers", IAM User Guide)."""
    role, _, session = str(iam.get("userId")).partition(":")
    return iam | {"sessionName": session if role.startswith("AROA") else None}


class LoadBalancer(Http):
    """Application Load Balancer.

    Source: "Use Lambda functions as targets of an Application Load Balancer", Elastic Load Balancing User Guide. Its
    headers about a caller are signed, or not, in ways that this function does not check: it authenticates nobody. It
    does not say when a request arrived.
    """

    name = "load-balancer"
    caller_timeout_s = 55.0  # the load balancer's idle timeout is 60 s unless somebody changed it

    @classmethod
    def recognises(cls, event: Any) -> bool:
        return isinstance(event, dict) and "elb" in get_object(event, "requestContext")

    def read_request(self) -> Request:
        return Request(self.event.get("httpMethod"), self.event.get("path"))

    def respond(self, answer: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Answer with `multiValueHeaders` where the request has them: the target group then reads no others."""
        from http import HTTPStatus

        answer = super().respond(answer, headers)
        status: int = answer["statusCode"]
        answer["statusDescription"] = f"{status} {HTTPStatus(status).phrase}"
        if "multiValueHeaders" in self.event:
            answer["multiValueHeaders"] = {name: [value] for name, value in answer.pop("headers").items()}
        return answer
