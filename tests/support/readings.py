"""The cases of fixtures/sql/readings: how a rule reads each of its inputs, and the sentence that says why.

`PYTHONPATH=tests python -m support.readings` writes the lists of the benchmarks and pairs anew, to be reviewed by hand.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.parts.beside import read_beside
from compiler.parts.reading import Reading
from compiler.parts.readings import readings
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import load_pairs
from support.tpcds import RULES as TPCDS_RULES
from support.tpcds import schemas as tpcds_schemas
from support.tpch import FIXTURE as TPCH
from support.tpch import make_project as make_tpch

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "sql" / "readings"
_FACT = re.compile(r"-- ([^:]+): (.*)")


@dataclass(frozen=True)
class ReadingCase:
    """A query and how it reads its inputs: by name, the line that `described` makes of it."""

    name: str
    sql: str
    expected: Mapping[str, str]


def reading_cases() -> Iterator[ReadingCase]:
    """Yield the cases of the files of SQL."""
    for path in sorted(FOLDER.glob("*.sql")):
        for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
            found = [_FACT.fullmatch(line) for line in block.splitlines()]
            facts = {fact[1]: fact[2] for fact in found if fact is not None}
            sql = "\n".join(line for line in block.splitlines() if not line.startswith("--")).rstrip(";")
            name = facts.pop("case")
            yield ReadingCase(f"{path.stem}: {name}", sql, facts)


def listed(name: str) -> dict[str, list[str]]:
    """Return a list of readings: for each query, a line for each input."""
    found: dict[str, list[str]] = {}
    query: list[str] = []
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            query.append(line.strip())
        elif line:
            query = found.setdefault(line, [])
    return found


def described(reading: Reading) -> str:
    """Return a reading as a line. Inexact: the last way, which is the one without a condition if there is one, is."""
    columns = f" ({' or '.join(reading.columns)})" if reading.columns else ""
    inexact = ", inexact" if reading.ways and not reading.ways[-1].exact else ""
    return f"{reading.kind}{columns}{inexact}: {reading.reason}"


def read(compiler: TestCompiler, sql: str, options: Options) -> tuple[Compiled, dict[str, Reading]]:
    """Compile a query and return how it reads its inputs. Raises `SqlError`.

    Whatever `read_beside` finds in the text alone, each way has to read.
    """
    compiled = compiler.compile(sql, options)
    found = readings(compiled, compiler.compiler, options)
    for name, reading in found.items():
        for way in reading.ways:
            assert read_beside(compiled.meaning, name) <= set(way.each.scans), (sql, name)
    return compiled, found


def lines_of(compiler: TestCompiler, sql: str) -> list[str]:
    """Return the lines of a query in a list. Raises `SqlError`."""
    _, found = read(compiler, sql, Options(volatile="random()" in sql.lower()))
    return [f"{name}: {described(reading)}" for name, reading in sorted(found.items())]


def lists() -> dict[str, tuple[Mapping[str, pa.Schema], dict[str, str]]]:
    """Return the queries whose readings are listed, by the name of the list, with their tables."""
    pairs = {
        f"{kind} {pair.theme} {pair.name} {side}": sql
        for kind in ("equal", "unequal")
        for pair in load_pairs("equal" if kind == "equal" else "unequal")
        for side, sql in (("first", pair.first), ("second", pair.second))
    }
    return {
        "tpch": (_tpch_schemas(), _texts(sorted((TPCH / "rules").glob("*.sql")))),
        "tpcds": (tpcds_schemas(), _texts(TPCDS_RULES)),
        "pairs": (TABLES, pairs),
    }


def _tpch_schemas() -> dict[str, pa.Schema]:
    with tempfile.TemporaryDirectory() as folder:
        project = make_tpch(Path(folder) / "tpch", scale=0.001)
        return {path.stem: pq.read_schema(path) for path in (project / "data").glob("*.parquet")}


def _texts(paths: Iterable[Path]) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def _write() -> None:
    for name, (tables, queries) in lists().items():
        compiler, text = TestCompiler(tables), []
        for query, sql in queries.items():
            try:
                lines = lines_of(compiler, sql)
            except SqlError:
                continue
            text.append("\n".join([query, *(f"    {line}" for line in lines)]))
        (FOLDER / f"{name}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
