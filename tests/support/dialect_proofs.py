"""Proofs that what a fix of another dialect's SQL writes has the values that the dialect's own engine gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from compiler.sql.foreign_calls import Row, meanings, rows
from support.inprocess import run
from support.projects import SampleProject
from support.translating import agree, translated, values

Table = Iterable[tuple[object, ...]]


def exact_rows(dialect: str) -> Iterator[Row]:
    """Yield the rows of the tables whose texts are said to have a dialect's value whatever the arguments."""
    for same in (*rows().values(), *meanings().values()):
        yield from (row for row in same if row.exact and row.speaks(dialect))


def call(row: Row, constants: Mapping[str, str], arguments: Mapping[str, str]) -> str:
    """Return a call that a row matches. constants: captured texts by function; arguments: by letter, else columns."""
    found = []
    for parameter in row.parameters:
        if parameter.unit is not None:
            found.append(parameter.unit if parameter.unit.isdigit() else f"'{parameter.unit}'")
        elif parameter.number:
            found.append("3")
        elif parameter.constant is not None:
            found.append(f"'{constants.get(row.name, ';')}'" if parameter.captures else f"'{parameter.constant}'")
        else:
            found.append(arguments.get(parameter.letter, f"v.{parameter.letter}"))
    return f"{row.name}({', '.join(found)})"


def disagreements(
    project: SampleProject,
    dialect: str,
    ask: Callable[[str], Sequence[Sequence[object]]],
    texts: Sequence[str],
    table: Table,
    *,
    aggregates: bool,
) -> list[tuple[object, ...]]:
    """Return the expressions whose fixed form has another value here: text, the dialect's values or error, ours.

    ask: returns the rows that the dialect's engine answers to a query. aggregates: each expression has one value.
    """
    fixed: dict[str, str] = {}
    wrong: list[tuple[object, ...]] = []
    for text in texts:
        query, left = translated(f"SELECT {text} AS x FROM v", dialect)
        if left:
            wrong.append((text, "not fixed", left))
        else:
            fixed[text] = re.fullmatch(r"SELECT (.*) AS x FROM v", query, re.DOTALL)[1]  # type: ignore[index]
    ours = _values(project, fixed, table, "" if aggregates else "v.k AS k, ")
    ordered = "" if aggregates else " ORDER BY v.k NULLS LAST"
    for text in fixed:
        try:
            answer = ask(f"SELECT {text} FROM ({values(table)}) AS v{ordered}")
        except Exception as error:  # noqa: BLE001 — of each engine's client another class; it is shown
            wrong.append((text, str(error).splitlines()[0], ours[text]))
            continue
        theirs = [row[0] for row in answer]
        if len(theirs) != len(ours[text]) or not all(map(agree, theirs, ours[text])):
            wrong.append((text, theirs, ours[text]))
    return wrong


def _values(project: SampleProject, fixed: Mapping[str, str], table: Table, selected: str) -> dict[str, list[object]]:
    """Return the values of each expression here, all asked in one query."""
    columns = ", ".join(f"{one} AS c{at}" for at, one in enumerate(fixed.values()))
    ran = run(project, "query", f"SELECT {selected}{columns} FROM ({values(table)}) AS v", "--json")
    answers = sorted(ran.document["data"], key=lambda row: (row.get("k") is None, row.get("k")))
    return {text: [row[f"c{at}"] for row in answers] for at, text in enumerate(fixed)}
