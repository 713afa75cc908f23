"""Where the tables of a graph are drawn: in layers, inputs on the left, by Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.report.graphviz import run_graphviz

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_INCH = 72
_HEIGHT = 30
_LETTER = 7.2
_LONGEST = 34
"""Letters of a name that its box has room for."""


def lay_out(names: Sequence[str], links: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Return a drawing, in pixels: its size, [x, y, width, height] of each table, and the curves between tables.

    links: by positions of `names`. A curve is [from, to, x, y, …], the points of Bézier curves end to end. Raises
    `UserError` where Graphviz is not installed.
    """
    lines = [
        "digraph tables {",
        '  graph [rankdir=LR, nodesep=0.16, ranksep=0.7, pack=20, packmode="array"];',
        '  node [shape=box, fixedsize=true, label=""];',
        "  edge [arrowhead=none];",
    ]
    for number, name in enumerate(names):
        width = max(70, min(len(name), _LONGEST) * _LETTER + 34)
        lines.append(f"  n{number} [width={width / _INCH:.4f}, height={_HEIGHT / _INCH:.4f}];")
    lines += [f"  n{start} -> n{end};" for start, end in links]
    return _read(run_graphviz("\n".join([*lines, "}"]), "plain"), len(names))


def _read(text: str, count: int) -> dict[str, Any]:
    """Read what Graphviz calls plain: inches, from the lower left corner."""
    size = (0.0, 0.0)
    boxes: list[list[int]] = [[0, 0, 0, 0]] * count
    curves: list[list[int]] = []
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "graph":
            size = (float(words[1]), float(words[2]))
        elif kind == "node":
            x, y, width, height = map(float, words[1:5])
            corner = (x - width / 2, size[1] - y - height / 2)
            boxes[int(words[0][1:])] = [round(one * _INCH) for one in (*corner, width, height)]
        elif kind == "edge":
            points = [float(one) for one in words[3 : 3 + 2 * int(words[2])]]
            placed = [one if at % 2 == 0 else size[1] - one for at, one in enumerate(points)]
            curves.append([int(words[0][1:]), int(words[1][1:]), *(round(one * _INCH) for one in placed)])
    return {"size": [round(one * _INCH) for one in size], "boxes": boxes, "curves": sorted(curves)}
