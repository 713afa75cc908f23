"""Lineage → a tree as text, or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rules.report import document, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.lineage import Lineage, Name, Step


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


def tree_lines(one: Answer, width: int | None) -> list[str]:
    """Return a column's lineage as a tree, every column once for each way in which it takes part.

    width: of a terminal, to which lines are cut.
    """
    lines = [str(one.name)]
    for word, steps in (("upstream", one.upstream), ("downstream", one.downstream)):
        if steps is not None:
            rows = _rows(steps)
            lines.append(f"  {word}" if rows else f"  {word}: none")
            lines += table_lines(rows[0], rows[1:], width=width) if rows else []
    if one.upstream:
        lines.append(f"  sources: {', '.join(map(str, one.sources)) or 'none'}")
    return lines


def names_only(answers: Iterable[Answer]) -> list[str]:
    """Return every column that takes part, once, nearest first."""
    found = [step.name for one in answers for step in (*(one.upstream or ()), *(one.downstream or ()))]
    return list(dict.fromkeys(map(str, found)))


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
