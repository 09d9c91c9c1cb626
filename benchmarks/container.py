"""One container of the scale benchmark: a process that sends its share of a fleet through `lambda_handler`.

    python -m benchmarks.container PLACE DEVICES BATCH CONTAINERS SECONDS PACE

It says "ready" when its connection is warm, starts at the first line of its input, says what it did in a line of JSON,
and ends at the second line, so that its server process can be looked at before.
"""

from __future__ import annotations

import json
import random
import sys
import time
from itertools import count

from benchmarks import fleet
from benchmarks.peers.product import Handler

EVENTS = 40
STRIDE = 7_919  # a prime, so that it goes through every device of a share before it meets one again


def main(index: int, devices: int, batch: int, containers: int, seconds: float, pace: float) -> None:
    """Send batches of devices drawn at random for so many seconds, at `pace` heartbeats a second if it is not 0."""
    chance = random.Random(index)  # noqa: S311 - the order of arrival
    events = [fleet.event(fleet.heartbeats(chance.sample(range(devices), batch), seed=index)) for _ in range(EVENTS)]
    share = range(index, devices, containers)
    handler = Handler()
    handler.write(events[0])
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = 0.0
    began = time.perf_counter()
    calls: list[float] = []
    minutes: list[int] = []  # heartbeats written in each
    for turn in count():
        _address(events[turn % EVENTS], share, turn * batch)
        due = began + turn * batch / pace if pace else 0.0
        now = time.perf_counter()
        if max(now, due) - began >= seconds:
            time.sleep(max(began + seconds - now, 0.0) if pace else 0.0)
            break
        if due > now:
            time.sleep(due - now)
        started, used = time.perf_counter(), time.process_time()
        answer = handler.write(events[turn % EVENTS])
        ended = time.perf_counter()
        calls.append(ended - started)
        minute = int((ended - began) // 60)
        minutes += [0] * (minute + 1 - len(minutes))
        minutes[minute] += batch
        cpu += time.process_time() - used
        if answer["statusCode"] != 200:
            raise RuntimeError(answer)
    print(
        json.dumps({"heartbeats": len(calls) * batch, "minutes": minutes, "calls_s": calls, "cpu_s": cpu}), flush=True
    )
    sys.stdin.readline()
    handler.close()


def _address(event: fleet.Body, share: range, start: int) -> None:
    """Give an event the next devices of this container's share, far from each other, each equally often."""
    for index, body in enumerate(event.get("devices") or [event]):
        number = share[(start + index) * STRIDE % len(share)]
        body["device_id"], body["site_id"] = fleet.device(number), f"building-{number // 40:05d}"


if __name__ == "__main__":
    index, devices, batch, containers = map(int, sys.argv[1:5])
    main(index, devices, batch, containers, float(sys.argv[5]), float(sys.argv[6]))
