"""`python -m benchmarks.page`: put the figures of benchmarks/results into docs/performance.md.

`make bench` does so by itself. A place for a table is a pair of comments, `<!-- NAME: TABLE -->` and `<!-- / -->`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_PLACE = re.compile(r"(<!-- (?P<name>\w+)(: (?P<table>[^\n]+))? -->\n).*?(<!-- / -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return the page with the tables of the newest results."""
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))}

    def table(place: re.Match[str]) -> str:
        name, title = place["name"], place["table"]
        if name == "targets":
            rows = [row for result in results.values() for row in _targets(result)]
        elif name == "machines":
            rows = [_machine(result) for result in results.values()]
        elif name == "ingest":
            rows = _by_size(results[name]["tables"][title])
        else:
            rows = results[name]["tables"][title]
        return f"{place[1]}{_markdown(rows)}\n{place[5]}"

    return _PLACE.sub(table, text)


def write() -> None:
    """Bring the page up to date."""
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    said = {True: "reached", False: "**missed**", None: "not measured"}
    return [
        {
            "benchmark": result["name"],
            "figure": target["what"],
            "measured": target["figure"],
            "to reach": f"{'≥' if target['at_least'] else '≤'} {target['limit']:,g}",
            "": said[target["reached"]],
        }
        for target in result["targets"]
    ]


def _machine(result: dict[str, Any]) -> dict[str, Any]:
    names = ("cpu", "python", "postgresql", "load_before")
    return {"benchmark": result["name"]} | {name: result["circumstances"][name] for name in names}


def _by_size(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each contestant: the median, and the processor time of client and server behind it."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        server = "?" if row["server_cpu_ms"] is None else f"{row['server_cpu_ms']:.3g}"
        of_peer = found.setdefault(row["contestant"], {"": row["contestant"]})
        of_peer[f"{row['size']:,}"] = f"{_three_digits(row['median_ms'])} ({row['client_cpu_ms']:.3g} + {server})"
    return list(found.values())


def _three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _markdown(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    left = [all(isinstance(row.get(name, ""), str) for row in rows) for name in names]
    rule = "|".join("---" if is_text else "--:" for is_text in left)
    lines = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    head, *body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([head, f"|{rule}|", *body])


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return str(value)


if __name__ == "__main__":
    write()
