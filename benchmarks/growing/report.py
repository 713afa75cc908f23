"""Results → a table for people, a picture, and the page of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.growing.goals import goals

_COLOURS = ("#1b6ca8", "#7fb3d5", "#8a8f98", "#e07a1f", "#7a5195")
_HEAD = """# Data that grows

Measured by `python3 tasks.py bench-growing --publish`; `benchmarks/growing` is the whole of it: daily files of orders,
two dimensions, 24 models in four layers: rows, joins, aggregates, distinct, dedupe, windows, top N, checks of data.
Every table of every tool is compared, row by row, with what the bare engine computes from all files.
"""


def markdown(results: dict[str, Any]) -> str:
    """Return what was measured, and on what."""
    about, found = results["about"], results["measurements"]
    made_on = f"on {about['cores']} cores of {about['processor']}; `min_rows` {about['min_rows']:,}"
    lines = [
        f"{about['days']:,} daily files of {about['rows']:,} rows, {made_on}; rules {about['rules']}.\n",
        "| scenario | tool | seconds | of cold | processor s | rows read | peak MiB | MB written | wrong tables |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    cold = {one["tool"]: one["wall"] for one in found if one["scenario"] == "cold"}
    for one in found:
        share = f"1/{cold[one['tool']] / one['wall']:,.1f}" if one["scenario"] != "cold" and one["wall"] else ""
        if one["error"]:
            lines.append(f"| {one['scenario']} | {one['tool']} | failed | | | | | | |")
            continue
        read = f"{one['rows_read']:,}" if one["rows_read"] is not None else ""
        wrong = f"**{len(one['wrong'])} of {one['tables']}**" if one["wrong"] else "0"
        lines.append(
            f"| {one['scenario']} | {one['tool']} | {one['wall']:.2f} | {share} | {one['cpu']:.2f} | {read} | "
            f"{one['peak']:,.0f} | {one['written'] / 1e6:.1f} | {wrong} |"
        )
    lines.append("")
    lines += ["| goal | measured | met |", "|---|---|---|"]
    lines += [f"| {goal.text} | {goal.seen} | {'yes' if goal.met else '**no**'} |" for goal in goals(results)]
    lines.append("")
    lines += [f"* {name}: {text}" for name, text in about["scenarios"].items()]
    lines += [f"* {name}: {text}" for name, text in about["notes"].items()]
    lines.append(
        "\nRows read: of the parts that ran and of inputs that were read whole, model by model, if the tool says so. "
        "MB written: files that were made or changed; of a database, its whole file. The scenarios "
        "follow one another, so a table that became wrong in one stays wrong in the next."
    )
    return "\n".join(lines) + "\n"


def publish(results: dict[str, Any], root: Path) -> None:
    """Write docs/growing.md, and its picture where there is a library to draw with."""
    image = ""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        print(f"no picture: {error}", file=sys.stderr)
    else:
        _draw(Figure(figsize=(10, 4.2), layout="constrained"), results, root / "docs" / "growing.svg")
        image = "\n![Seconds of each tool in each scenario; a star: wrong tables](growing.svg)\n"
    (root / "docs" / "growing.md").write_text(f"{_HEAD}{image}\n{markdown(results)}", encoding="utf-8")


def _draw(figure: Any, results: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    scenarios = list(results["about"]["scenarios"])
    tools = list(dict.fromkeys(one["tool"] for one in results["measurements"]))
    axes = figure.subplots()
    width = 0.8 / len(tools)
    for at, (tool, colour) in enumerate(zip(tools, _COLOURS, strict=False)):
        found = [one for one in results["measurements"] if one["tool"] == tool and not one["error"]]
        places = [scenarios.index(one["scenario"]) + (at - (len(tools) - 1) / 2) * width for one in found]
        axes.bar(places, [one["wall"] for one in found], width, label=tool, color=colour)
        for place, one in zip(places, found, strict=True):
            if one["wrong"]:
                axes.annotate(f"{len(one['wrong'])}*", (place, one["wall"]), ha="center", va="bottom", fontsize=7)
    axes.set_yscale("log")
    axes.set_ylabel("seconds (logarithmic)")
    axes.set_xticks(range(len(scenarios)), scenarios, fontsize=8)
    axes.set_title("Builds of 24 models over data that grows; with a star: how many tables are wrong", fontsize=10)
    axes.legend(frameon=False, ncols=len(tools), fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "rules"}):  # equal results give equal files
        figure.savefig(path, metadata={"Date": None})
