"""Column lineage: cases worked out by hand, what it shares with read sets, and that it tells the truth about data."""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from sqlglot import exp

from compiler.analysis.edges import Edge, from_record, to_record
from compiler.analysis.lineage import column_edges
from compiler.analysis.readset import read_sets
from compiler.compiled import Compiled
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.names.resolve import bind_tables
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from properties.queries import random_query
from rules.storage.types import to_schema
from support.compiling import TestCompiler
from support.databases import TABLES as DATABASE
from support.databases import random_database
from support.forms import StoredDatabase
from support.pairs import load_pairs

FILE = Path(__file__).resolve().parents[2] / "fixtures" / "sql" / "lineage.sql"
CASE_TABLES = {
    "t": pa.schema({"id": pa.int64(), "k": pa.string(), "x": pa.int64(), "y": pa.int64(), "z": pa.int64()}),
    "u": pa.schema({"id": pa.int64(), "k": pa.string(), "v": pa.int64(), "w": pa.int64()}),
    "n": pa.schema({"id": pa.int64(), "s": pa.struct({"a": pa.int32(), "b": pa.string()}), "l": pa.list_(pa.int64())}),
}
_EDGE = re.compile(
    r"-- (?P<output>.+?) (?P<kind>value|control) (?P<input>\w+)\.(?P<column>\w+)(?: (?P<expression>.+))?"
)
RANDOM_QUERIES = 150
PERTURBED_QUERIES = 60
SOAK_QUERIES = 4000


class Case(NamedTuple):
    sql: str
    edges: tuple[Edge, ...]


def load_cases() -> dict[str, Case]:
    cases = {}
    for block in FILE.read_text(encoding="utf-8").split("\n-- case: ")[1:]:
        name, _, body = block.partition("\n")
        sql, _, below = body.partition(";\n")
        lines = [line for line in below.splitlines() if line.strip()]
        matches = [_EDGE.fullmatch(line) for line in lines]
        assert all(matches), f"{name}: {lines}"
        edges = tuple(
            Edge(
                None if match["output"] == "*" else match["output"],
                match["input"],
                match["column"],
                "value" if match["kind"] == "value" else "control",
                match["expression"] or "",
            )
            for match in matches
            if match
        )
        assert name not in cases
        cases[name] = Case(sql, edges)
    return cases


CASES = load_cases()
THEMES: dict[str, list[str]] = {}
for kind in ("equal", "unequal"):
    for pair in load_pairs(kind):  # type: ignore[arg-type]
        THEMES.setdefault(f"{kind}-{pair.theme}", []).extend([pair.first, pair.second])


@cache
def compiler() -> TestCompiler:
    return TestCompiler(DATABASE)


def without_expressions(edges: tuple[Edge, ...]) -> Counter[tuple[str | None, str, str, str]]:
    return Counter(edge[:4] for edge in edges)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = CASES[name]
    found = TestCompiler(CASE_TABLES).compile(case.sql).lineage
    assert without_expressions(found) == without_expressions(case.edges)
    told = {edge[:4]: edge.expression for edge in found}
    assert {edge[:4]: told[edge[:4]] for edge in case.edges if edge.expression} == {
        edge[:4]: edge.expression for edge in case.edges if edge.expression
    }


def executed_form(sql: str) -> exp.Query:
    """Return the tree that edges are read from, without the work that compiling does besides."""
    query = parse(sql)
    bind_tables(query, {name.lower(): name for name in DATABASE}.get, DATABASE)
    return pruned(qualified(query, schemas()))


@cache
def schemas() -> InputSchemas:
    known = InputSchemas()
    for name, schema in DATABASE.items():
        known.add(name, to_schema(schema))
    return known


def require_read_sets(executed: exp.Query) -> None:
    """Every column of the read sets is in an edge, and no edge names another; every edge is there once."""
    edges = column_edges(executed)
    named = {(edge.input, edge.column) for edge in edges}
    assert named == {(table, column) for table, columns in read_sets(executed).items() for column in columns}
    assert {edge.output for edge in edges} <= {None, *executed.named_selects}
    assert set(without_expressions(edges).values()) <= {1}
    assert all(edge.expression for edge in edges)


@pytest.mark.parametrize("theme", THEMES)
def test_edges_name_the_columns_of_the_read_sets_in_pairs(theme: str) -> None:
    checked = 0
    for sql in THEMES[theme]:
        with contextlib.suppress(SqlError):  # some pairs are there to show what is refused
            require_read_sets(with_deep_stack(lambda sql=sql: executed_form(sql)))  # type: ignore[misc]
            checked += 1
    assert checked > len(THEMES[theme]) * 0.9


@pytest.mark.slow
def test_edges_name_the_columns_of_the_read_sets_in_random_queries() -> None:
    check_random(range(RANDOM_QUERIES))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_edges_name_the_columns_of_the_read_sets_in_many_random_queries() -> None:
    check_random(range(10_000, 10_000 + SOAK_QUERIES))


def check_random(seeds: range) -> None:
    for seed in seeds:
        require_read_sets(executed_form(random_query(seed)))


@pytest.mark.slow
def test_a_column_without_an_edge_to_an_output_never_changes_it(tmp_path: Path) -> None:
    assert check_perturbed(range(PERTURBED_QUERIES), tmp_path) > PERTURBED_QUERIES * 0.4


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_column_without_an_edge_to_an_output_never_changes_it_in_many_queries(tmp_path: Path) -> None:
    assert check_perturbed(range(20_000, 20_000 + SOAK_QUERIES), tmp_path) > SOAK_QUERIES * 0.4


def check_perturbed(seeds: range, folder: Path) -> int:
    """Change columns that have no edge to an output and compare that output; return how many outputs were compared."""
    database = StoredDatabase(random_database(3, 20), folder / "before")
    checked = 0
    for seed in seeds:
        try:
            compiled = compiler().compile(random_query(seed))
        except SqlError:
            continue
        checked += require_unmoved(compiled, database, seed)
    return checked


NOT_RUN = {
    "exists_as_a_column": "the engine has no plan for it",
    "order_in_an_aggregate": "ties in its order may fall either way",
    "recursive": "it ends only on data without circles",
}


@pytest.mark.parametrize("name", sorted(set(CASES) - set(NOT_RUN)))
def test_a_column_without_an_edge_to_an_output_never_changes_it_in_cases(name: str, tmp_path: Path) -> None:
    database = StoredDatabase(case_database(), tmp_path / "before")
    compiled = TestCompiler(CASE_TABLES).compile(CASES[name].sql)
    assert database.executed(compiled).num_rows
    for seed in range(3):
        require_unmoved(compiled, database, seed)


def case_database() -> dict[str, pa.Table]:
    rng = random.Random(5)
    rows = 30

    def column(field: pa.Field, most: int) -> list[object]:
        def value() -> object:
            if field.name == "k":
                return rng.choice(["a", "b", "c", None])
            if field.name == "s":
                return {"a": rng.randrange(4), "b": rng.choice("pq")}
            if field.name == "l":
                return [rng.randrange(4) for _ in range(rng.randrange(3))]
            return rng.randrange(most)

        return [value() for _ in range(rows)]

    return {
        name: pa.table({field.name: column(field, 20 if name == "t" else 12) for field in schema}, schema=schema)
        for name, schema in CASE_TABLES.items()
    }


def require_unmoved(compiled: Compiled, database: StoredDatabase, seed: int) -> int:
    rng = random.Random(seed)
    outputs = list(compiled.schema.names)
    rng.shuffle(outputs)
    reads = {(table, column) for table, columns in compiled.scans.items() for column in columns}
    checked = 0
    before = None
    for output in outputs:
        linked = {(edge.input, edge.column) for edge in compiled.lineage if edge.output in {None, output}}
        if linked == reads:
            continue
        try:
            before = before if before is not None else database.executed(compiled)
            after = changed_elsewhere(database, linked, rng).executed(compiled)
        except Exception:  # noqa: BLE001, S112 — a changed value can overflow, or divide by zero
            continue
        assert values(before, output) == values(after, output), f"{output} moved\n{compiled.sql}\n{compiled.lineage}"
        checked += 1
    return checked


def values(table: pa.Table, column: str) -> Counter[str]:
    return Counter(map(repr, table.column(column).to_pylist()))


_FOLDERS = iter(range(1_000_000))


def changed_elsewhere(database: StoredDatabase, linked: set[tuple[str, str]], rng: random.Random) -> StoredDatabase:
    """Return a database in which every column but those in `linked` is other: values moved to other rows, or NULL."""
    tables = {}
    for name, table in database.tables.items():
        columns = []
        for column, field in zip(table.columns, table.schema, strict=True):
            if (name, field.name) not in linked:
                rows = rng.sample(range(table.num_rows), table.num_rows)
                taken = pa.array([None if rng.random() < 0.2 else row for row in rows], pa.int64())
                columns.append(column.combine_chunks().take(taken))
            else:
                columns.append(column)
        tables[name] = pa.Table.from_arrays(columns, schema=table.schema)
    return StoredDatabase(tables, database.folder.parent / f"after{next(_FOLDERS)}")


@pytest.mark.parametrize("name", CASES)
def test_edges_survive_their_record(name: str) -> None:
    edges = TestCompiler(CASE_TABLES).compile(CASES[name].sql).lineage
    assert from_record(to_record(edges)) == edges


def test_an_expression_stays_short() -> None:
    terms = " OR ".join(f"t.x = {number}" for number in range(500))
    edge = TestCompiler(CASE_TABLES).compile(f"SELECT t.y FROM t WHERE {terms}").lineage[-1]
    assert edge.column == "x"
    assert len(edge.expression) < 300
    assert edge.expression.startswith("WHERE t.x = 0 OR t.x = 1")


def test_what_is_used_twice_on_each_of_many_levels_is_walked_once() -> None:
    ctes = ["c0 AS (SELECT r.sensor_id, r.x, r.y FROM readings AS r)"]
    ctes += [
        f"c{n} AS (SELECT a.sensor_id, a.x + b.y AS x, a.y + b.x AS y "
        f"FROM c{n - 1} AS a JOIN c{n - 1} AS b ON a.sensor_id = b.sensor_id)"
        for n in range(1, 60)
    ]
    executed = with_deep_stack(lambda: executed_form(f"WITH {', '.join(ctes)} SELECT q.x AS total FROM c59 AS q"))
    assert without_expressions(column_edges(executed)) == Counter(
        [
            ("total", "readings", "x", "value"),
            ("total", "readings", "y", "value"),
            (None, "readings", "sensor_id", "control"),
        ]
    )
