"""What is installed is whole: the files that are no modules travel in the wheel."""

from __future__ import annotations

from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


def test_everything_beside_the_modules_is_in_the_wheel() -> None:
    included = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    inside = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    beside = {str(path.relative_to(ROOT / "src")) for path in inside if path.suffix != ".py"}
    assert {"hvac_heartbeat/local/page/templates/fleet.html", "hvac_heartbeat/local/page/static/page.js"} <= beside
    assert beside <= included
