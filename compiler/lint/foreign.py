"""R016, R018 and from R030 on: what means something else in the dialect that a project comes from."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.extents import fragment, is_operand, is_primary
from compiler.dialects.habits import HABITS
from compiler.dialects.view import View, shown
from compiler.lint.findings import Edit, Fix, Found
from compiler.lint.query_view import Subject
from compiler.sql.foreign_calls import exact_match, rows


def habits(subject: Subject) -> list[Found]:
    """SELECT 7 / 2 AS x of a project from DuckDB → R016, with the text that gives DuckDB's 3.5 here."""
    if subject.dialect is None:
        return []
    nodes = subject.every(exp.Expr) + list(subject.query.find_all(exp.Literal))
    view = View(subject.text, subject.query, subject.dialect, subject.kinds.kind, subject.extents, nodes)
    for habit in HABITS:
        habit(view)
    return [
        subject.found(one.code, one.node, one.message, one.hint, _fix(one.hint or one.message, one.edits))
        for one in view.found
    ]


def _fix(message: str, edits: tuple[tuple[int, int, str], ...]) -> Fix | None:
    return Fix(message, tuple(Edit(*edit) for edit in edits), translates=True) if edits else None


def counterpart(subject: Subject, call: exp.Expr, name: str) -> tuple[str | None, Fix | None]:
    """Return what to write instead of a call of an unknown function, and the fix; None where that is not certain."""
    arguments = list(call.args.get("expressions") or [])
    if isinstance(call.parent, exp.Filter | exp.Window | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
        return None, None
    match = exact_match(rows().get(name.lower(), ()), arguments, subject.kinds.kind, subject.dialect)
    place = subject.extents.of(call) if match is not None else None
    if match is None or place is None or any(isinstance(one, exp.Distinct | exp.Order) for one in arguments):
        return None, None
    used = [value for values in match.values.values() for value in values]
    if any(subject.extents.written(one) is None for one in used):
        return None, None
    written = match.written(subject.extents.argument)
    top = fragment(written)
    if top is None:
        return None, None
    text = f"({written})" if is_operand(call) and not is_primary(top) else written
    return f"write {shown(written)}", _fix(f"write {shown(written)}", ((*place, text),))
