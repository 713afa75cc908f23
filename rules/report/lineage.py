"""Lineage → a tree as text, or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.lineage import Lineage, Name, Step
from rules.report.runs import document
from rules.wording import plural, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Question:
    """What is asked of each column: which way to look, how many rules far, and whether a tree shows control too."""

    upstream: bool = True
    downstream: bool = True
    depth: int | None = None
    control: bool = False


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


def column_tree(one: Answer, width: int | None, *, control: bool = False) -> list[str]:
    """Return a column's lineage as a tree of what its values come from and go into.

    control: show what only controls it as well; every column is there once for each way in which it takes part.
    width: of a terminal, to which lines are cut.
    """
    steps = [*(one.upstream or ()), *(one.downstream or ())]
    sources = one.sources if control else _valued(one.sources, one.upstream or ())
    return [
        *_trees(one, width, control=control),
        *_sources(sources if one.upstream else None),
        *_left_out(steps, control=control),
    ]


def table_tree(lineage: Lineage, table: str, question: Question, width: int | None) -> list[str]:
    """Return the lineage of a table's columns as trees; what controls all of them comes before them, once."""
    lines: list[str] = []
    control = question.control
    shared = lineage.upstream_of_rows(table, question.depth) if question.upstream else []
    if shared and control:
        lines += [table, "  every column", *_tree(shared, width, control=True), ""]
    found: set[Name] = set(lineage.sources(shared)) if control else set()
    every = list(shared)
    for name in (Name(table, column) for column in lineage.columns[table]):
        up = lineage.upstream_of_values(name, question.depth) if question.upstream else None
        down = lineage.downstream(name, question.depth) if question.downstream else None
        sources = lineage.sources(up or [])
        found.update(sources if control else _valued(sources, up or ()))
        lines += [*_trees(Answer(name, up, down, []), width, control=control), ""]
        every += [*(up or ()), *(down or ())]
    closing = _sources(sorted(found) if question.upstream and table in lineage.edges else None)
    closing += _left_out(every, control=control)
    return [*lines, table, *closing] if closing else lines[:-1]


def names_only(answers: Iterable[Answer]) -> list[str]:
    """Return every column that takes part, once, nearest first."""
    found = [step.name for one in answers for step in (*(one.upstream or ()), *(one.downstream or ()))]
    return list(dict.fromkeys(map(str, found)))


def _trees(one: Answer, width: int | None, *, control: bool) -> list[str]:
    lines = [str(one.name)]
    for word, steps in (("upstream", one.upstream), ("downstream", one.downstream)):
        if steps is not None:
            shown = any(control or step.kind == "value" for step in steps)
            lines += [f"  {word}", *_tree(steps, width, control=control)] if shown else [f"  {word}: none"]
    return lines


def _tree(steps: list[Step], width: int | None, *, control: bool) -> list[str]:
    rows = [row if control else [row[0], row[2]] for row in _rows(steps, control=control)]
    return table_lines(rows[0], rows[1:], width=width)


def _valued(names: Iterable[Name], steps: Iterable[Step]) -> list[Name]:
    by_value = {step.name for step in steps if step.kind == "value"}
    return [name for name in names if name in by_value]


def _left_out(steps: Iterable[Step], *, control: bool) -> list[str]:
    """Say how many columns a tree without control leaves out."""
    by_value: set[Name] = set()
    others: set[Name] = set()
    for step in steps:
        (by_value if step.kind == "value" else others).add(step.name)
    count = len(others - by_value)
    if control or not count:
        return []
    return [f"  control: {plural(count, 'more column')}, in filters, joins, groups or order (see --control)"]


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


def _rows(steps: list[Step], *, control: bool) -> list[list[str]]:
    """Return the lines of a tree as cells. What controls a column whose values are shown as well is not followed."""
    valued = {step.name for step in steps if step.kind == "value"}
    below: dict[int | None, list[int]] = {}
    for number, step in enumerate(steps):
        if control or step.kind == "value":
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
