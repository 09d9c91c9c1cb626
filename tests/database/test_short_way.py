"""One heartbeat takes a short way through the code, so that somebody who follows it for the first time can."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import pytest

FUNCTIONS = 32
MODULES = 11
_PACKAGE = "hvac_heartbeat."
_INLINED = ("<listcomp>", "<dictcomp>", "<setcomp>")  # from Python 3.12 on no functions of their own


def visited(call: Callable[[], object]) -> set[tuple[str, str]]:
    """Return module and qualified name of each of the package's functions that a call goes through."""
    seen: set[tuple[str, str]] = set()

    def note(frame: FrameType, what: str, _: object) -> None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        if what == "call" and module.startswith(_PACKAGE) and not name.endswith(_INLINED):
            seen.add((module, name))

    profiler = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(profiler)
    return seen


def test_a_warm_direct_heartbeat_visits_few_functions_in_few_modules(
    handler: Callable[[object], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_LOG", "minute")  # as in Lambda
    event = {"device_id": "d", "site_id": "s", "status": "ready", "cpu_pct": 25.5}
    for _ in range(2):
        handler(event)
    seen = visited(lambda: handler(event))
    assert len(seen) <= FUNCTIONS, sorted(seen)
    assert len({module for module, _ in seen}) <= MODULES, sorted(seen)
