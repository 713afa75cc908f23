"""Lineage as one HTML page that needs nothing else: laid out by Graphviz, with a small script to follow a column."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.errors import FAILED, UserError
from rules.printable import printable, without_secrets
from rules.report.drawing import dot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.lineage import Name
    from rules.report.drawing import Drawing

_PROGRAM = "graphviz-pure"


def page(drawing: Drawing, title: str, focus: Iterable[Name]) -> str:
    """Return the page; the columns of `focus` are chosen when it opens. Raises `UserError` without Graphviz."""
    svg = _layout("\n".join(dot(drawing)))
    parts = {
        "title": escape(printable(title)),
        "style": _part("lineage.css"),
        "script": _part("lineage.js"),
        "svg": svg[svg.index("<svg") :],
        "data": json.dumps(_data(drawing, focus), ensure_ascii=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("lineage.html"))


def _data(drawing: Drawing, focus: Iterable[Name]) -> dict[str, Any]:
    """Return what the script works on; ids are those in the picture."""
    tables = [[box.id, printable(box.table), box.is_source] for box in drawing.boxes]
    columns = [
        [drawing.ids[box.table, column], box.id, printable(column)] for box in drawing.boxes for column in box.columns
    ]
    links = [
        [f"e{number}", start, end, link.kind, printable(without_secrets(link.expression))]
        for number, (link, start, end) in enumerate(drawing.links)
    ]
    return {"tables": tables, "columns": columns, "links": links, "focus": [drawing.ids[name] for name in focus]}


def _layout(source: str) -> str:
    """Return a digraph as SVG."""
    installed = Path(sysconfig.get_path("scripts"), _PROGRAM)
    program = str(installed) if installed.is_file() else shutil.which(_PROGRAM)
    if program is None:
        message = f"the page needs {_PROGRAM} for its layout, which is not installed"
        hint = f"python -m pip install {_PROGRAM}, or use --format dot"
        raise UserError(message, code="no-layout", hint=hint, exit_code=FAILED)
    ran = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, check=True)  # noqa: S603
    return ran.stdout.decode()


def _part(name: str) -> str:
    return files("rules.report").joinpath("page", name).read_text(encoding="utf-8")
