"""What a benchmark found: a table for the reader, JSON and a plot for the repository."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).with_name("results")
_console = Console(width=None if os.isatty(1) else 120)


@dataclass(frozen=True)
class Target:
    """A figure with its limit; `figure` is None where it could not be measured, and `note` says why."""

    what: str
    figure: float | None
    limit: float
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the figure is on the right side of its limit."""
        if self.figure is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass
class Result:
    """One benchmark's rows, and what they say about the targets."""

    name: str
    circumstances: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)


@dataclass(frozen=True)
class Bars:
    """One panel of a plot: a bar for each label, on a logarithmic scale where `log` says so."""

    title: str
    unit: str
    values: dict[str, float]
    log: bool = False
    limit: float | None = None


def machine() -> dict[str, Any]:
    """Describe the machine by what matters to a figure."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": cpus[0].partition(":")[2].strip() if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def show(result: Result) -> None:
    """Print circumstances, tables and targets."""
    _console.rule(f"[bold]{result.name}")
    _console.print(", ".join(f"{name} {value}" for name, value in result.circumstances.items()), style="dim")
    for title, rows in result.tables.items():
        table = Table(title=title, title_justify="left")
        names = list(dict.fromkeys(name for row in rows for name in row))
        for name in names:
            table.add_column(name, justify="left" if isinstance(rows[0].get(name), str) else "right")
        for row in rows:
            table.add_row(*("" if row.get(name) is None else _digits(row[name]) for name in names))
        _console.print(table)
    for target in result.targets:
        _console.print(_sentence(target))


def save(result: Result) -> None:
    """Write the JSON, and the plot where matplotlib is installed."""
    RESULTS.mkdir(exist_ok=True)
    found = asdict(result)
    del found["bars"]
    found["targets"] = [asdict(target) | {"reached": target.reached} for target in result.targets]
    text = json.dumps(found, indent=1) + "\n"
    RESULTS.joinpath(f"{result.name}.json").write_text(text, encoding="utf-8")
    try:
        draw = _painter()
    except ImportError:
        _console.print("No plot: matplotlib is not installed (`make bench` installs it).", style="yellow")
        return
    if result.bars:
        draw(result)


def _painter() -> Callable[[Result], None]:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hvac-heartbeat"
    import matplotlib.pyplot as plt

    def draw(result: Result) -> None:
        lines = sum(len(panel.values) for panel in result.bars)
        heights = [len(panel.values) + 1.5 for panel in result.bars]
        figure, panels = plt.subplots(
            len(result.bars), 1, figsize=(9, 0.3 * lines + 1.0 * len(result.bars)), height_ratios=heights, squeeze=False
        )
        for axes, panel in zip(panels[:, 0], result.bars, strict=True):
            labels = list(panel.values)
            drawn = axes.barh(labels, list(panel.values.values()), color=[_colour(label) for label in labels])
            axes.bar_label(drawn, fmt="{:.3g}", padding=3, fontsize=8)
            axes.invert_yaxis()
            axes.set_title(f"{panel.title} ({panel.unit})", fontsize=9, loc="left")
            axes.tick_params(labelsize=8)
            axes.margins(x=0.12)
            if panel.log:
                axes.set_xscale("log")
            if panel.limit is not None:
                axes.axvline(panel.limit, color="#c0392b", linestyle=":", linewidth=1)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        figure.tight_layout()
        figure.savefig(RESULTS / f"{result.name}.svg", metadata={"Date": None})
        plt.close(figure)

    return draw


def _colour(label: str) -> str:
    if "handler" in label or "function" in label or "tuned" in label:
        return "#2471a3"
    return "#7f8c8d" if "floor" in label or "bare" in label or "alone" in label else "#d5b895"


def _digits(value: object) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _sentence(target: Target) -> str:
    sign = "at least" if target.at_least else "at most"
    if target.figure is None:
        return f"[yellow]  ?  {target.what}: not measured, {target.note}"
    colour, mark = ("green", "ok") if target.reached else ("red", "--")
    note = f" ({target.note})" if target.note else ""
    return f"[{colour}]  {mark} {target.what}: {target.figure:.3g}, to reach {sign} {target.limit:g}{note}"
