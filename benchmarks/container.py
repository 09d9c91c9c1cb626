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
    names = _names(range(index, devices, containers), batch)
    handler = Handler()
    handler.write(events[0])
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = 0.0
    began = time.perf_counter()
    calls: list[float] = []
    minutes: list[int] = []  # heartbeats written in each
    for turn in count():
        _address(events[turn % EVENTS], names, turn * batch)
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


def _names(share: range, batch: int) -> list[tuple[str, str]]:
    """Return device and site of every device of a share, far from each other; the first ones again at the end."""
    order = [share[at * STRIDE % len(share)] for at in range(len(share))]
    return [(fleet.device(number), fleet.site(number)) for number in order + order[:batch]]


def _address(event: fleet.Body, names: list[tuple[str, str]], start: int) -> None:
    """Give an event the next devices of this container's share, each equally often."""
    bodies = event.get("devices") or [event]
    first = start % (len(names) - len(bodies))
    for body, (device, site) in zip(bodies, names[first : first + len(bodies)], strict=True):
        body["device_id"], body["site_id"] = device, site


if __name__ == "__main__":
    index, devices, batch, containers = map(int, sys.argv[1:5])
    main(index, devices, batch, containers, float(sys.argv[5]), float(sys.argv[6]))
