"""Lineage as one HTML page that needs nothing else: tables laid out by Graphviz, and a script that shows columns.

The page opens on the tables, one line for each pair. What a table or column is made of is in the page as data, and its
script (`page/lineage.js`) shows it on a click.
"""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rules.printable import printable, without_secrets
from rules.report.graphviz import run_graphviz

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graph.lineage import Lineage, Name

_LONGEST = 36
"""Characters of a table's name that its box shows, its beginning and its end; the page has the whole name elsewhere."""
_KINDS = (None, "control", "value")
"""By their number in the page: rows are only counted, control, value."""


def page(lineage: Lineage, names: Iterable[Name], title: str, focus: str) -> str:
    """Return the page of some columns and of all tables that they are of. Raises `UserError` without Graphviz.

    focus: the table or "table.column" that is chosen when it opens, or "".
    """
    data = _data(lineage, names, focus)
    parts = {
        "title": escape(printable(title)),
        "style": _part("lineage.css"),
        "script": _part("lineage.js"),
        "svg": _drawing(data),
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("lineage.html"))


def _data(lineage: Lineage, names: Iterable[Name], focus: str) -> dict[str, Any]:
    """Return what the script works on; tables and, in each, columns are known by their numbers.

    tables: name, whether it is a source, its columns. links: from table and column, to table and column (-1: every
    column), kind, number of the expression. pairs: from table, to table, kind.
    """
    shown = dict.fromkeys(names)
    wanted: dict[str, list[str]] = {}
    for name in shown:
        wanted.setdefault(name.table, []).append(name.column)
    tables = [table for table in lineage.columns if table in wanted]
    columns = {table: [one for one in lineage.columns[table] if one in set(wanted[table])] for table in tables}
    numbers = {table: number for number, table in enumerate(tables)}
    places = {(table, column): place for table in tables for place, column in enumerate(columns[table])}
    expressions: dict[str, int] = {}
    links = [
        [
            numbers[link.source.table],
            places[link.source],
            numbers[link.target[0]],
            -1 if link.target[1] is None else places[link.target[0], link.target[1]],
            _KINDS.index(link.kind),
            expressions.setdefault(link.expression, len(expressions)),
        ]
        for link in lineage.links(shown)
    ]
    pairs = [
        [numbers[entry], numbers[product], _KINDS.index(kind)]
        for (entry, product), kind in lineage.table_links().items()
        if entry in numbers and product in numbers
    ]
    return {
        "tables": [
            [printable(table), int(table not in lineage.edges), [printable(one) for one in columns[table]]]
            for table in tables
        ],
        "links": links,
        "pairs": pairs,
        "expressions": [printable(without_secrets(one)) for one in expressions],
        "focus": printable(focus),
    }


def _drawing(data: Mapping[str, Any]) -> str:
    """Return the tables and the lines between them as SVG; the ids are n and e with the numbers of tables and pairs."""
    lines = [
        "digraph lineage {",
        '  graph [rankdir=LR, nodesep=0.14, ranksep=0.9, pack=24, packmode="array", bgcolor="transparent"];',
        '  node [shape=box, style=rounded, height=0.34, margin="0.14,0.04", fontname="Helvetica", fontsize=13];',
        "  edge [arrowsize=0.7];",
    ]
    for number, (name, is_source, _) in enumerate(data["tables"]):
        kind = "source" if is_source else "product"
        lines.append(f'  n{number} [id="n{number}", class="{kind}", label=<{_label(name)}>];')
    for number, (start, end, kind) in enumerate(data["pairs"]):
        style = {"value": "", "control": ", style=dashed", None: ", style=dotted"}[_KINDS[kind]]
        lines.append(f'  n{start} -> n{end} [id="e{number}", class="{_KINDS[kind] or "rows"}"{style}];')
    svg = run_graphviz("\n".join([*lines, "}"]), "svg", ", or use --format dot")
    return re.sub(r"<!--.*?-->\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)


def _label(name: str) -> str:
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[1 - _LONGEST // 2 :]}"
    return escape(printable(shown)) or " "


def _part(name: str) -> str:
    return files("rules.report").joinpath("page", name).read_text(encoding="utf-8")
