"""Parquet's statistics leave NaN out: what a rule reads of a column of floats is what stands in it, all the same."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.engine.session import make_session
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.types import stored_schema, to_schema
from support.projects import SampleProject

NAN = math.nan
VALUES = [1.5, NAN, 1.0, 2.5, 0.0, -0.0, None, math.inf, -math.inf]
WHERE = [
    "x > 2", "x >= 1.5", "x < 1.5", "NOT x < 1.5", "x = 1.5", "x <> 1.5", "x IN (1.5, 7.0)", "x NOT IN (1.5, 7.0)",
    "x BETWEEN 1.5 AND 99", "x = CAST('NaN' AS DOUBLE)", "isnan(x)", "x IS NULL", "-x < -2", "x + 1 > 2",
    "CAST(x AS REAL) > 2", "x = 0", "x = -0.0", "y > 2", "y = x", "h > 2", "x > (SELECT MIN(u.x) FROM u)",
    "x IN (SELECT u.x FROM u WHERE u.k < 2)", "EXISTS (SELECT 1 FROM u WHERE u.k < 2 AND u.x = t.x)",
]  # fmt: skip
QUERIES = [
    "SELECT k, x, y, h FROM t",
    *(f"SELECT t.k, t.x, t.h FROM t WHERE {condition}" for condition in WHERE),
    "SELECT COUNT(*) AS n FROM t WHERE x > 2",
    "SELECT COUNT(x) AS n, COUNT(*) AS m, COUNT(DISTINCT x) AS d FROM t",
    "SELECT MIN(x) AS a, MAX(x) AS z, MAX(y) AS q, MAX(h) AS r FROM t",
    "SELECT MIN(x) AS a, MAX(x) AS z FROM t WHERE k > 2",
    "SELECT x FROM t ORDER BY x DESC LIMIT 1",
    "SELECT y FROM t WHERE k > 1 ORDER BY y DESC LIMIT 3",
    "SELECT DISTINCT x FROM t",
    "SELECT t.k, u.k AS j FROM t JOIN u ON t.x = u.x",
    "SELECT t.k, u.k AS j FROM t JOIN u ON t.x = u.x AND u.k < 2",
    "SELECT t.k, u.k AS j FROM t LEFT JOIN u ON t.x = u.x",
    "SELECT t.k, u.k AS j FROM t JOIN u ON t.x < u.x WHERE u.k < 2",
    "SELECT MAX(x) OVER () AS m, k FROM t WHERE x > 1.4",
]


def random_table(chance: random.Random) -> pa.Table:
    rows = chance.randrange(1, 9)
    values = chance.sample(VALUES, chance.randrange(1, 5))
    columns = {name: [chance.choice(values) for _ in range(rows)] for name in ("x", "y", "h")}
    types = {"x": pa.float64(), "y": pa.float32(), "h": pa.float16()}
    return pa.table({"k": range(rows), **{name: pa.array(columns[name], types[name]) for name in types}})


def rows_of(table: pa.Table) -> list[str]:
    return sorted(repr(row) for row in table.to_pylist())


def without_statistics(tables: dict[str, pa.Table], sql: str) -> list[str]:
    session = make_session(PROFILES[DEFAULT_PROFILE])
    for name, table in tables.items():
        session.register_record_batches(name, [table.cast(stored_schema(table.schema)).to_batches()])
    return rows_of(session.sql(sql).to_arrow_table())


@pytest.mark.parametrize("seed", range(3))
def test_reads_a_source_as_if_it_had_no_statistics(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    tables = {"t": random_table(chance), "u": random_table(chance)}
    inputs = []
    for name, table in tables.items():
        file = tmp_path / f"{name}.parquet"
        pq.write_table(table, file, row_group_size=chance.choice([1, 2, 9]), write_page_index=chance.random() < 0.5)
        inputs.append(EngineInput(name, (file,), to_schema(table.schema), tuple(table.schema.names)))
    for sql in QUERIES:
        bound = re.sub(r"\b(FROM|JOIN) ([tu])\b", r"\1 input.\2 AS \2", sql)
        frame = open_frame(EngineQuery(bound, tuple(inputs), PROFILES[DEFAULT_PROFILE]), tmp_path)
        found = pa.Table.from_batches([batch.to_pyarrow() for batch in frame.execute_stream()], frame.schema())
        assert rows_of(found) == without_statistics(tables, sql), sql


BASE = {
    "one value and NaN": [1.5, NAN, 1.5],
    "two values and NaN": [1.5, NAN, 1.0],
    "a group of NaN alone": [1.5, 1.5, NAN],
    "signed zeros": [0.0, -0.0, 0.0],
}


@pytest.mark.parametrize(
    ("kind", "values"),
    [*(("parquet", values) for values in BASE.values()), ("csv", BASE["signed zeros"]), ("arrow", [1.5, NAN, 1.5])],
    ids=[*BASE, "text", "arrow"],
)
def test_all_readers_of_a_table_agree_on_it(tmp_path: Path, kind: str, values: list[float]) -> None:
    project = SampleProject(tmp_path, toml=f'\n[sources.raw]\npath = "data/raw.{kind}"\n')
    table = pa.table({"k": [1, 2, 3], "x": values})
    folder = project.root / "data"
    folder.mkdir()
    if kind == "parquet":
        pq.write_table(table, folder / "raw.parquet", row_group_size=2)
    elif kind == "csv":
        project.write("data/raw.csv", "k,x\n" + "".join(f"{k},{x!r}\n" for k, x in enumerate(values, 1)))
    else:
        with pa.ipc.new_file(folder / "raw.arrow", table.schema) as writer:
            writer.write_table(table)
    project.sql("base", "SELECT raw.k, raw.x FROM raw")
    for name in ("raw", "base"):
        project.sql(f"{name}_all", f"SELECT {name}.k, {name}.x FROM {name}")
        project.sql(f"{name}_large", f"SELECT {name}.k FROM {name} WHERE {name}.x > 2")
        project.sql(f"{name}_rest", f"SELECT {name}.k FROM {name} WHERE NOT {name}.x > 2")
        project.sql(f"{name}_top", f"SELECT {name}.x FROM {name} ORDER BY {name}.x DESC LIMIT 1")
        project.sql(f"{name}_max", f"SELECT MAX({name}.x) AS x FROM {name}")
    project.build()
    large = [k for k, x in enumerate(values, 1) if x > 2 or math.isnan(x)]
    for name in ("raw", "base"):
        assert repr(project.product(f"{name}_all")["x"].to_pylist()) == repr(values)
        assert project.product(f"{name}_large")["k"].to_pylist() == large
        assert project.product(f"{name}_rest")["k"].to_pylist() == [k for k in (1, 2, 3) if k not in large]
        most = repr(NAN if any(map(math.isnan, values)) else max(values))
        assert [repr(x) for x in project.product(f"{name}_top")["x"].to_pylist()] == [most]
        assert [repr(x) for x in project.product(f"{name}_max")["x"].to_pylist()] == [most]


def statistics_of(path: Path) -> dict[str, bool]:
    footer = pq.read_metadata(path)
    columns = [footer.row_group(0).column(place) for place in range(footer.num_columns)]
    return {column.path_in_schema: column.statistics is not None for column in columns}


def test_no_file_of_ours_has_statistics_of_floats(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.text]\npath = "data/text.csv"\n')
    project.write("data/text.csv", "k,x,s\n1,nan,a\n2,0.5,b\n")
    project.sql(
        "base", "SELECT t.k, t.s, t.x, make_array(t.x) AS l, named_struct('p', t.x, 'q', t.k) AS o FROM text AS t"
    )
    project.sql("plain", "SELECT t.k, t.s FROM text AS t")
    project.build()
    found = statistics_of(project.root / ".rules" / "products" / "base.parquet")
    assert [name for name, has in found.items() if not has] == ["x", "l.list.element", "o.p"]
    assert all(statistics_of(project.root / ".rules" / "products" / "plain.parquet").values())
    objects = [statistics_of(path) for path in (project.root / ".rules" / "objects").rglob("*.parquet")]
    assert {"k": True, "x": False, "s": True} in objects


def scanned(tmp_path: Path, table: pa.Table, condition: str) -> tuple[int, int]:
    """Return how many row groups there were and how many matched by their statistics, and so were read."""
    file = tmp_path / "t.parquet"
    pq.write_table(table, file, row_group_size=100)
    given = EngineInput("t", (file,), to_schema(table.schema), tuple(table.schema.names))
    sql = f"EXPLAIN ANALYZE SELECT * FROM input.t WHERE {condition}"
    frame = open_frame(EngineQuery(sql, (given,), PROFILES[DEFAULT_PROFILE]), tmp_path)
    text = str(frame.to_pylist())
    found = re.search(r"row_groups_pruned_statistics=(\d+) total → (\d+) matched", text)
    assert found, text
    return int(found[1]), int(found[2])


@pytest.mark.parametrize(
    "condition", ["i < 150", "d < DATE '1970-05-31'", "s < '00150'", "i < 150 AND x > -1e9", "i < 150 AND NOT x > 5e9"]
)
def test_a_filter_of_other_types_still_spares_row_groups(tmp_path: Path, condition: str) -> None:
    whole: list[Any] = list(range(1000))
    columns = {"i": whole, "d": pa.array(whole, pa.int32()).cast(pa.date32()), "s": [f"{n:05}" for n in whole]}
    assert scanned(tmp_path, pa.table({**columns, "x": [float(n) for n in whole]}), condition) == (10, 2)
