"""The cases of fixtures/sql/spread: whether a rule may be spread over partitions, with the sentence that says why.

`PYTHONPATH=tests python -m support.spread_cases` writes the sentences anew, to be reviewed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler.compiled import Options
from compiler.errors import SqlError
from compiler.spread.spread_record import Spread
from support.compiling import TestCompiler
from support.databases import TABLES
from support.readings import lists
from support.spread import proved

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "sql" / "spread"
LISTS = ("tpch", "tpcds")


@dataclass(frozen=True)
class SpreadCase:
    """A query and the line that `described` makes of what is proved of it."""

    name: str
    sql: str
    expected: str


def cases() -> Iterator[SpreadCase]:
    """Yield the cases of the file of SQL."""
    for block in (FOLDER / "cases.sql").read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.splitlines()
        notes = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).rstrip(";")
        yield SpreadCase(notes[0].removeprefix("case: "), sql, notes[1] if len(notes) > 1 else "")


def listed(name: str) -> dict[str, str]:
    """Return the lines of the queries of a benchmark."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def described(found: Spread) -> str:
    """Return what is proved of a rule as a line."""
    if found.sql is None:
        return f"one partition: {found.reason}"
    return f"any number{', not looking ahead' if found.looks_ahead else ''}: {found.reason}"


def line_of(known: TestCompiler, sql: str) -> str:
    """Return the line of a query. Raises `SqlError`."""
    return described(proved(known, known.compile(sql, Options())))


def _write() -> None:
    known = TestCompiler(TABLES)
    blocks = [f"-- case: {one.name}\n-- {line_of(known, one.sql)}\n{one.sql};" for one in cases()]
    (FOLDER / "cases.sql").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    for name in LISTS:
        tables, queries = lists()[name]
        benchmark, found = TestCompiler(tables), []
        for query, sql in queries.items():
            try:
                found.append(f"{query} {line_of(benchmark, sql)}")
            except SqlError:
                continue
        (FOLDER / f"{name}.txt").write_text("\n".join(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
