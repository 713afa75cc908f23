"""Results → plots for the README: what each tool takes in each scenario, on a logarithmic axis; and how ours grows."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.versus.report import COMPARED, compared_sizes, tools_at
from benchmarks.versus.results import Results
from benchmarks.versus.scenarios import SCENARIOS
from benchmarks.versus.tools import Rules

_COLOURS = dict(zip(COMPARED, ("#1b6ca8", "#e07a1f", "#7a5195", "#8a8f98"), strict=True))


def plot(results: Results, folder: Path) -> list[Path]:
    """Write versus-SIZE.svg and .png for each size that peers were measured at, and growth.svg and .png."""
    sizes = sorted({size for size, *_ in results.found})
    made: list[Path] = []
    for size in sizes:
        if size in compared_sizes(results):
            made += _save(_comparison(results, size, tools_at(results, size)), folder / f"versus-{size}")
    if len(sizes) > 1:
        made += _save(_growth(results, sizes), folder / "growth")
    return made


def _comparison(results: Results, size: int, tools: list[str]) -> Figure:
    """Draw a group of bars for each scenario: wall seconds, and above each bar the models executed."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(tools)
    for at, tool in enumerate(tools):
        found = [results.summary(size, tool, scenario) for scenario in SCENARIOS]
        places = [place + (at - (len(tools) - 1) / 2) * width for place in range(len(found))]
        known = [
            (place, one.wall, one.executed)
            for place, one in zip(places, found, strict=True)
            if one and one.wall is not None
        ]
        axes.bar([one[0] for one in known], [one[1] for one in known], width, label=tool, color=_COLOURS[tool])
        for place, wall, executed in known:
            axes.annotate(f"{executed:,}", (place, wall), ha="center", va="bottom", fontsize=7)
    axes.set_yscale("log")
    axes.set_ylabel("seconds (logarithmic)")
    ideals = _ideals(results, size)
    labels = [f"{scenario}\n(ideal {ideals[scenario]:,})" if scenario in ideals else scenario for scenario in SCENARIOS]
    axes.set_xticks(range(len(SCENARIOS)), labels, fontsize=8)
    axes.set_title(f"A rebuild of {size:,} models; above each bar: models executed", fontsize=10)
    axes.legend(frameon=False, ncols=len(tools), fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _ideals(results: Results, size: int) -> dict[str, int]:
    return {one.scenario: one.ideal for one in results.found.values() if one.size == size}


def _growth(results: Results, sizes: list[int]) -> Figure:
    """Draw how long our own tool takes in each scenario as the project grows."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    for scenario in SCENARIOS:
        found = [(size, results.summary(size, Rules.name, scenario)) for size in sizes]
        known = [(size, one.wall) for size, one in found if one and one.wall is not None]
        axes.plot([size for size, _ in known], [wall for _, wall in known], marker="o", label=scenario)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("models")
    axes.set_ylabel("seconds")
    axes.set_title("rules: time to build after an edit", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _save(figure: Figure, path: Path) -> list[Path]:
    made = [path.with_suffix(suffix) for suffix in (".svg", ".png")]
    with mpl.rc_context({"svg.hashsalt": "rules"}):  # equal results give equal files
        for one in made:
            figure.savefig(one, dpi=150, metadata={"Date": None} if one.suffix == ".svg" else None)
    return made
