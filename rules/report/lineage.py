"""Lineage → a tree as text, or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.lineage import Lineage, Name, Step
from rules.report.runs import document, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Question:
    """What is asked of each column: which way to look, and how many rules far."""

    upstream: bool = True
    downstream: bool = True
    depth: int | None = None


@dataclass(frozen=True)
class Answer:
    """What one column depends on, and what depends on it; None where that was not asked."""

    name: Name
    upstream: list[Step] | None
    downstream: list[Step] | None
    sources: list[Name]


def answer(lineage: Lineage, name: Name, question: Question) -> Answer:
    """Walk from one column."""
    up = lineage.upstream(name, question.depth) if question.upstream else None
    down = lineage.downstream(name, question.depth) if question.downstream else None
    return Answer(name, up, down, lineage.sources(up or []))


def column_document(one: Answer) -> dict[str, Any]:
    """Return the document of `rules lineage TABLE.COLUMN`."""
    return document("lineage", status="ok", **_fields(one))


def table_document(lineage: Lineage, table: str, answers: Iterable[Answer]) -> dict[str, Any]:
    """Return the document of `rules lineage TABLE`: that of each of its columns."""
    kind = "product" if table in lineage.edges else "source"
    return document("lineage", status="ok", **{kind: table}, columns=[_fields(one) for one in answers])


def column_tree(one: Answer, width: int | None) -> list[str]:
    """Return a column's lineage as a tree, every column once for each way in which it takes part.

    width: of a terminal, to which lines are cut.
    """
    return [*_trees(one, width), *_sources(one.sources if one.upstream else None)]


def table_tree(lineage: Lineage, table: str, question: Question, width: int | None) -> list[str]:
    """Return the lineage of a table's columns as trees; what controls all of them stands before them, once."""
    lines: list[str] = []
    shared = lineage.upstream_of_rows(table, question.depth) if question.upstream else []
    if shared:
        lines += [table, "  every column", *_tree(shared, width), ""]
    found: set[Name] = set(lineage.sources(shared))
    for name in (Name(table, column) for column in lineage.columns[table]):
        up = lineage.upstream_of_values(name, question.depth) if question.upstream else None
        down = lineage.downstream(name, question.depth) if question.downstream else None
        found.update(lineage.sources(up or []))
        lines += [*_trees(Answer(name, up, down, []), width), ""]
    closing = _sources(sorted(found) if question.upstream and table in lineage.edges else None)
    return [*lines, table, *closing] if closing else lines[:-1]


def names_only(answers: Iterable[Answer]) -> list[str]:
    """Return every column that takes part, once, nearest first."""
    found = [step.name for one in answers for step in (*(one.upstream or ()), *(one.downstream or ()))]
    return list(dict.fromkeys(map(str, found)))


def _trees(one: Answer, width: int | None) -> list[str]:
    lines = [str(one.name)]
    for word, steps in (("upstream", one.upstream), ("downstream", one.downstream)):
        if steps is not None:
            lines += [f"  {word}", *_tree(steps, width)] if steps else [f"  {word}: none"]
    return lines


def _tree(steps: list[Step], width: int | None) -> list[str]:
    rows = _rows(steps)
    return table_lines(rows[0], rows[1:], width=width)


def _sources(names: list[Name] | None) -> list[str]:
    return [] if names is None else [f"  sources: {', '.join(map(str, names)) or 'none'}"]


def _fields(one: Answer) -> dict[str, Any]:
    fields: dict[str, Any] = {"column": str(one.name)}
    if one.upstream is not None:
        fields["upstream"] = _steps(one.name, one.upstream)
    if one.downstream is not None:
        fields["downstream"] = _steps(one.name, one.downstream)
    if one.upstream is not None:
        fields["sources"] = [str(name) for name in one.sources]
    return fields


def _steps(start: Name, steps: list[Step]) -> list[dict[str, Any]]:
    return [
        {
            "column": str(step.name),
            "kind": step.kind,
            "expression": step.expression,
            "depth": step.depth,
            "via": str(start if step.via is None else steps[step.via].name),
        }
        for step in steps
    ]


def _rows(steps: list[Step]) -> list[list[str]]:
    """Return the lines of a tree as cells. What controls a column whose values are shown as well is not followed."""
    valued = {step.name for step in steps if step.kind == "value"}
    below: dict[int | None, list[int]] = {}
    for number, step in enumerate(steps):
        below.setdefault(step.via, []).append(number)
    rows: list[list[str]] = []
    pending: list[tuple[int, str, bool]] = []

    def put(parent: int | None, indent: str) -> None:
        children = below.get(parent, [])
        pending.extend(reversed([(number, indent, number == children[-1]) for number in children]))

    put(None, "  ")
    while pending:
        number, indent, last = pending.pop()
        step = steps[number]
        rows.append([f"{indent}{'└─' if last else '├─'} {step.name}", step.kind, step.expression])
        if step.kind == "value" or step.name not in valued:
            put(number, f"{indent}{'   ' if last else '│  '}")
    return rows
