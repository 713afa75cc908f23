"""R005 and R011: stars, and output columns without a name."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.lint.findings import Edit, Fix, Found, span
from compiler.lint.query_view import Subject
from compiler.lint.quoting import in_sql
from compiler.names.lexical import from_items
from compiler.names.qualify import is_named
from compiler.tree.walk import output_leaf

_WIDEST = 100
_HINT = "list the columns, so that a new one upstream changes nothing here"


def stars(subject: Subject) -> list[Found]:
    """SELECT * FROM orders AS o → R005, except for EXISTS (SELECT * …), where it means nothing."""
    found: list[Found] = []
    for select in subject.every(exp.Select):
        if isinstance(select.parent, exp.Exists):
            continue
        for item in select.selects:
            if item.is_star and span_of_star(item) is not None:
                case = "local" if _is_local(subject, select) else ""
                word = f"{item.table}.*" if isinstance(item, exp.Column) else "*"
                fix = _expansion(subject, select, item)
                found.append(subject.found("R005", item, f"SELECT {word} takes every column", _HINT, fix, case))
    return found


def unnamed_columns(subject: Subject) -> list[Found]:
    """SELECT COUNT(*) FROM orders AS o → R011."""
    select = output_leaf(subject.query)
    return [
        subject.found("R011", item, f"output column {number} has no name", "add AS name")
        for number, item in enumerate(select.selects if select is not None else [], 1)
        if not is_named(item)
    ]


def span_of_star(item: exp.Expr) -> tuple[int, int] | None:
    """Return the place of a star; None for one that the parser added."""
    star = item.this if isinstance(item, exp.Column) else item
    return span(item) if star.meta.get("start") is not None else None


def _is_local(subject: Subject, select: exp.Select) -> bool:
    """Whether everything that a SELECT reads is written in the same rule: CTEs and derived tables."""
    ctes = {id(table) for table, _ in subject.names.tables}
    items = from_items(select)[0]
    return bool(items) and all(not isinstance(item, exp.Table) or id(item) in ctes for item in items)


def _expansion(subject: Subject, select: exp.Select, item: exp.Expr) -> Fix | None:
    place = span_of_star(item)
    expanded = subject.sight.star(select, item)
    if place is None or expanded is None or subject.executed is None:
        return None
    start, end = place
    names: list[str] = []
    for table, columns in expanded:
        alias = subject.alias_text(table)
        if alias is None:
            return None
        names += [f"{alias}.{in_sql(column)}" for column in columns]
    if not names:
        return None
    listed = ", ".join(names)
    line = subject.text.rfind("\n", 0, start) + 1
    before = subject.text[line:start]
    if len(before) + len(listed) > _WIDEST or not before.strip():
        end_of_line = ",\r\n" if subject.text[max(line - 2, 0) : line] == "\r\n" else ",\n"
        listed = (end_of_line + re.sub(r"\S", " ", before)).join(names)
    return Fix(f"list the {len(names)} columns", (Edit(start, end, listed),))
