"""R016, R018 and from R030 on: what means something else in the dialect that a project comes from."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects import calls
from compiler.dialects.habits import HABITS
from compiler.dialects.view import View, shown
from compiler.lint.findings import Edit, Fix, Found
from compiler.lint.query_view import Subject


def habits(subject: Subject) -> list[Found]:
    """SELECT 7 / 2 AS x of a project from DuckDB → R016, with the text that gives DuckDB's 3.5 here."""
    if subject.dialect is None:
        return []
    nodes = subject.every(exp.Expr) + list(subject.query.find_all(exp.Literal))
    view = View(subject.text, subject.query, subject.dialect, subject.kinds.kind, subject.extents, nodes)
    view.type_of, view.is_output, view.names = subject.kinds.of, subject.kinds.is_output, subject.kinds.names
    for habit in HABITS:
        habit(view)
    return [
        subject.found(one.code, one.at, one.message, one.hint, _fix(one.hint or one.message, one.edits))
        for one in view.found
    ]


def _fix(message: str, edits: tuple[tuple[int, int, str], ...]) -> Fix | None:
    return Fix(message, tuple(Edit(*edit) for edit in edits), translates=True) if edits else None


def counterpart(subject: Subject, call: exp.Expr, name: str) -> tuple[str | None, Fix | None]:
    """Return what to write instead of a call of an unknown function, and the fix; None where that is not certain."""
    found = calls.counterpart(call, name, subject.kinds.kind, subject.dialect, subject.extents)
    if found is None:
        return None, None
    written, edit = found
    return f"write {shown(written)}", _fix(f"write {shown(written)}", (edit,))
