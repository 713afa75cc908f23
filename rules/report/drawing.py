"""Lineage as a drawing: tables as boxes of columns, edges between columns; written for Mermaid or Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from graph.lineage import Lineage, Link, Name
from rules.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Box:
    """A product or source with the columns that are shown. id: short, unique in the drawing, the same on every run."""

    id: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """Boxes, inputs first, and the edges between them.

    links: each with the id of its column and the id of the column, or whole box, that it ends at. ids: by table and
    column, None for a whole box. counted: boxes of which another one reads nothing but how many rows there are.
    """

    boxes: tuple[Box, ...]
    links: tuple[tuple[Link, str, str], ...]
    ids: dict[tuple[str, str | None], str]
    counted: tuple[tuple[str, str], ...]


def draw(lineage: Lineage, names: Iterable[Name]) -> Drawing:
    """Return the drawing of some columns and of the edges among them."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        wanted.setdefault(name.table, set()).add(name.column)
    boxes: list[Box] = []
    ids: dict[tuple[str, str | None], str] = {}
    for number, table in enumerate(table for table in lineage.columns if table in wanted):
        columns = tuple(column for column in lineage.columns[table] if column in wanted[table])
        boxes.append(Box(f"t{number}", table, columns))
        ids[table, None] = f"t{number}"
        ids.update({(table, column): f"t{number}c{position}" for position, column in enumerate(columns)})
    found = lineage.links(Name(box.table, column) for box in boxes for column in box.columns)
    links = tuple((link, ids[link.source], ids[link.target]) for link in found)
    counted = tuple(
        (ids[entry, None], ids[product, None])
        for (entry, product), kind in lineage.table_links().items()
        if kind is None and entry in wanted and product in wanted
    )
    return Drawing(tuple(boxes), links, ids, counted)


def mermaid(drawing: Drawing) -> list[str]:
    """Return a Mermaid flowchart. Dotted edges are control; those that concern every column end at the box.

    A dotted edge between two boxes is of rows that are only counted.
    """
    lines = ["flowchart LR"]
    for box in drawing.boxes:
        lines.append(f'  subgraph {box.id}["{_entities(box.table)}"]')
        lines += [f'    {drawing.ids[box.table, column]}["{_entities(column)}"]' for column in box.columns]
        lines.append("  end")
    for link, start, end in drawing.links:
        lines.append(f"  {start} {'-->' if link.kind == 'value' else '-.->'} {end}")
    return [*lines, *(f"  {start} -.-> {end}" for start, end in drawing.counted)]


def dot(drawing: Drawing) -> list[str]:
    """Return a Graphviz digraph. Dashed edges are control; those that concern every column end at the table's name.

    A dotted edge between the names of two tables is of rows that are only counted.
    """
    lines = [
        "digraph lineage {",
        '  graph [rankdir=LR, nodesep=0.3, ranksep=1.1, bgcolor="transparent"];',
        '  node [shape=plain, fontname="Helvetica", fontsize=12];',
        "  edge [arrowsize=0.6];",
    ]
    for box in drawing.boxes:
        rows = [_cell("t", box.table, bold=True)]
        rows += [_cell(drawing.ids[box.table, column], column) for column in box.columns]
        table = f'<table border="0" cellborder="1" cellspacing="0" cellpadding="5">{"".join(rows)}</table>'
        lines.append(f"  {box.id} [label=<{table}>];")
    for link, start, end in drawing.links:
        port = "t" if link.target[1] is None else end
        style = "" if link.kind == "value" else " [style=dashed]"
        lines.append(f"  {_box_of(start)}:{start}:e -> {_box_of(end)}:{port}:w{style};")
    lines += [f"  {start}:t:e -> {end}:t:w [style=dotted];" for start, end in drawing.counted]
    return [*lines, "}"]


def _cell(port: str, text: str, *, bold: bool = False) -> str:
    shown = escape(printable(text)) or " "
    return f'<tr><td port="{port}" align="left">{f"<b>{shown}</b>" if bold else shown}</td></tr>'


def _box_of(identifier: str) -> str:
    return identifier.partition("c")[0]


def _entities(text: str) -> str:
    """Return text for a quoted label of Mermaid, which writes special characters as #code;."""
    return "".join(char if char.isalnum() or char in " _-." else f"#{ord(char)};" for char in printable(text))
