"""The dashboards' documents: one that Grafana's own model knows every word of, and a page that leaves no widget out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "dashboards" / "fleet.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
VARIABLE = {"type": "postgres", "uid": "${datasource}"}


def unknown(given: Any, understood: Any, path: str = "") -> list[str]:
    """Return what is given and was not understood, or as something else."""
    if isinstance(given, dict) and isinstance(understood, dict):
        return [lost for key, one in given.items() for lost in unknown(one, understood.get(key), f"{path}/{key}")]
    if isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        pairs = enumerate(zip(given, understood, strict=True))
        return [lost for place, (one, other) in pairs for lost in unknown(one, other, f"{path}/{place}")]
    return [] if given == understood else [path]


def test_grafanas_own_model_understands_every_word() -> None:
    plugins.register_default_plugins()
    understood = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
    lost = unknown(DASHBOARD, understood)
    # The model has no room for a query below an annotation, which is the data source's.
    assert [path for path in lost if not path.startswith("/annotations/list/0/target")] == []
    misspelt = json.loads(json.dumps(DASHBOARD).replace('"gridPos"', '"gridpos"'))
    assert len(unknown(misspelt, json.loads(json.dumps(Dashboard.from_json(misspelt), cls=JSONEncoder)))) >= 10


def test_it_can_be_imported_anywhere() -> None:
    assert (DASHBOARD["uid"], DASHBOARD["id"], DASHBOARD["schemaVersion"]) == ("hvac-heartbeat-fleet", None, 38)
    queried = [*DASHBOARD["panels"], *DASHBOARD["annotations"]["list"]]
    assert all(one["datasource"] == VARIABLE for one in queried)
    assert all(one["datasource"] == VARIABLE for panel in DASHBOARD["panels"] for one in panel["targets"])
    source, site = DASHBOARD["templating"]["list"]
    assert (source["type"], source["name"], source["query"]) == ("datasource", "datasource", "postgres")
    assert site["datasource"] == VARIABLE
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells
        taken |= cells


def test_the_page_has_every_panel_and_every_widget() -> None:
    widgets = re.findall(r'"title": "([^"]+)"', (ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert len(widgets) >= 8
    titles = [*widgets, *(panel["title"] for panel in DASHBOARD["panels"])]
    assert [title for title in titles if f"| *{title}* |" not in PAGE] == []
