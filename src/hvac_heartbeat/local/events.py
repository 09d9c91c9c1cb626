"""Where the sample events are: beside the installed package, or in the repository it is run from."""

from __future__ import annotations

from pathlib import Path

from hvac_heartbeat.errors import HvacHeartbeatError


class EventsMissing(HvacHeartbeatError):
    """The sample events are neither in the package nor in a repository around it: install the package again."""


def sample(name: str) -> Path:
    """Return the file of one sample event, such as `single`."""
    here = Path(__file__).resolve()
    # A wheel carries them (pyproject.toml, force-include); a checkout has them at its root.
    for folder in (here.parent / "events", here.parents[3] / "events"):
        file = folder / f"{name}.json"
        if file.is_file():
            return file
    raise EventsMissing
