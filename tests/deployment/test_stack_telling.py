"""A stack that tells: its tick sweeps a fleet with a dark site, and the message arrives on a bus and on a topic, once.

The tick is handed to what the schedule's rule names, because the emulator lets a rule's first minute pass;
test_deploy_script.py waits for one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Database, TestServer, _new_database
from tests.database.dark_site import darken
from tests.deployment.conftest import ARCHITECTURE
from tests.deployment.emulator import ACCOUNT, REGION, eventually
from tests.deployment.stacks import Stack, database_parameters, emulated, make_bucket
from tests.triggers.trigger_samples import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.deployment.emulator import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "teller"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:on-duty"


@pytest.fixture(scope="module")
def dark_database(server: TestServer, template: str) -> Iterator[Database]:
    """A database with the ledger and telling, in which building-a has been silent for five minutes."""
    for database in _new_database(server, template):
        with database.connect() as connection:
            darken(connection, "building-a", alive_at="4 min")
        yield database


@pytest.fixture(scope="module")
def sweep_function(
    cloud: Cloud,
    tool: Callable[[str, str], str],
    local_package: Path,
    dark_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What the stack's schedule calls. Its bus leads into a queue; its topic is not there yet."""
    make_bucket(cloud)
    bus = cloud.aws("events", "create_event_bus", Name="building-events")["EventBusArn"]
    told = {"kind": ["Silence Opened"]}
    cloud.aws(
        "events", "put_rule", Name="dark", EventBusName="building-events", EventPattern=json.dumps({"detail": told})
    )
    target = {"Id": "queue", "Arn": make_queue(cloud, "from-the-bus")}
    cloud.aws("events", "put_targets", Rule="dark", EventBusName="building-events", Targets=[target])
    parameters = {"FunctionName": NAME, "Architecture": ARCHITECTURE, "HttpApi": "none"}
    channels = {"MessageEventBus": bus, "MessageTopicArn": TOPIC}
    stack = Stack(NAME, cloud, tool, parameters | channels | database_parameters(dark_database))
    stack.deploy(emulated(tmp_path_factory.mktemp("stack"), local_package))
    [target] = cloud.aws("events", "list_targets_by_rule", Rule=f"{NAME}-schedule")["Targets"]
    function: str = target["Arn"]
    return function


def make_queue(cloud: Cloud, name: str) -> str:
    url = cloud.aws("sqs", "create_queue", QueueName=name)["QueueUrl"]
    arn: str = cloud.aws("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    return arn


def received(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    """Return the bodies of what came into a queue since the last look."""
    url = cloud.aws("sqs", "get_queue_url", QueueName=name)["QueueUrl"]
    answer = cloud.aws("sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def arrived(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    """Wait until something came."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found.extend(received(cloud, name))
        return bool(found)

    eventually(look, f"an arrival in {name}")
    return found


def tick(cloud: Cloud, function: str) -> dict[str, Any]:
    """Call what the schedule calls as it would, and return what the sweep says."""
    answer = cloud.aws("lambda", "invoke", FunctionName=function, Payload=json.dumps(sample("schedule")))
    said = answer["Payload"].read()
    assert "FunctionError" not in answer, said
    body: dict[str, Any] = json.loads(json.loads(said)["body"])
    return body


def test_a_dark_site_arrives_once_on_each_channel_and_a_channel_that_failed_gets_it_later(
    cloud: Cloud, sweep_function: str, dark_database: Database
) -> None:
    first = tick(cloud, sweep_function)
    assert (first["fleet_devices"], first["told"], first["delivered"], first["undelivered"]) == (9, 1, 0, 1)
    [event] = arrived(cloud, "from-the-bus")
    assert (event["source"], event["detail-type"]) == ("hvac-heartbeat", "Silence Opened")
    assert event["detail"]["text"].startswith("building-a: 3 of 3 silent since ")

    cloud.aws("sns", "create_topic", Name="on-duty")
    queue = make_queue(cloud, "on-duty")
    cloud.aws("sns", "subscribe", TopicArn=TOPIC, Protocol="sqs", Endpoint=queue)
    with dark_database.connect() as connection:  # half a minute goes by
        connection.execute("UPDATE silence_message SET next_attempt_at = now()")
    second = tick(cloud, sweep_function)
    assert (second["told"], second["delivered"], second["undelivered"]) == (0, 1, 0)
    [mail] = arrived(cloud, "on-duty")
    assert mail["Subject"] == "Silence Opened: building-a"
    assert mail["Message"].startswith(event["detail"]["text"] + "\n\nd1\nd2\nd3\n")
    assert mail["MessageAttributes"]["dedup_id"]["Value"] == event["detail"]["dedup_id"]

    assert tick(cloud, sweep_function)["delivered"] == 0
    assert received(cloud, "from-the-bus") + received(cloud, "on-duty") == [], "nothing arrives twice"
