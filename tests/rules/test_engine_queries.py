"""The engine is given single queries only: one function takes them, and refuses whatever else SQL can say."""

from __future__ import annotations

import ast
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rules.engine
from compiler.schema import Schema
from rules.config.profiles import PROFILES
from rules.engine.execute import execute
from rules.engine.protocol import EngineError, EngineInput, EngineQuery, Job
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.types import to_schema

_ONE: Schema = to_schema(pa.schema([pa.field("x", pa.int64())]))
_ENTRANCES = {"sql", "sql_with_options", "register_csv", "register_json", "register_avro", "register_listing_table"} | {
    "enable_url_table", "read_csv", "read_json", "read_parquet", "read_avro", "register_udtf", "register_table_factory",
}  # fmt: skip


def run(sql: str, folder: Path, schema: Schema = _ONE) -> None:
    execute(Job(EngineQuery(sql, (), PROFILES[DEFAULT_PROFILE]), schema, folder / "out.parquet"))


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1 AS x) TO '{folder}/written.parquet'",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS x) TO '{folder}/written.parquet'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{folder}/there.csv'",
        "CREATE TABLE x AS SELECT 1 AS x",
        "CREATE VIEW x AS SELECT 1 AS x",
        "INSERT INTO t VALUES (1)",
        "DROP TABLE IF EXISTS t",
        "SET datafusion.execution.batch_size = 1",
        "PREPARE p AS SELECT 1 AS x",
        "SELECT 1 AS x; COPY (SELECT 1 AS x) TO '{folder}/written.parquet'",
        "SELECT x FROM '{folder}/there.csv'",
        "SELECT x FROM read_csv('{folder}/there.csv')",
        "SELECT x FROM read_parquet('{folder}/there.parquet')",
    ],
)
def test_what_is_no_query_of_the_inputs_is_refused(sql: str, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("x\n1\n")
    with pytest.raises(EngineError):
        run(sql.format(folder=tmp_path), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"there.csv"}


@pytest.mark.parametrize("sql", ["SELECT 1 AS y", "SELECT 'a' AS x WHERE false", "EXPLAIN SELECT 1 AS x"])
def test_a_query_of_other_columns_is_refused_before_a_row_comes(sql: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="but it had planned"):
        run(sql, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_columns_that_are_given_exist(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2], "y": [3, 4]}), tmp_path / "t.parquet")
    stored: Schema = to_schema(pa.schema({"x": pa.int64(), "y": pa.int64()}))
    target = tmp_path / "out.parquet"

    def run_on_x(sql: str) -> None:
        query = EngineQuery(
            sql, (EngineInput("t", (tmp_path / "t.parquet",), stored, ("x",)),), PROFILES[DEFAULT_PROFILE]
        )
        execute(Job(query, _ONE, target))

    run_on_x('SELECT * FROM "input".t AS t')
    assert pq.read_table(target).to_pydict() == {"x": [1, 2]}
    for sql in ('SELECT t.y AS x FROM "input".t AS t', 'SELECT t.x FROM "input".t AS t WHERE t.y = 3'):
        with pytest.raises(EngineError, match="No field named"):
            run_on_x(sql)


def test_one_function_hands_text_to_the_engine() -> None:
    """`plan_query` does. The others set checked settings, and ask for settings or functions, in words of their own."""
    found = set()
    for path in sorted(Path(rules.engine.__file__).parent.glob("*.py")):
        for function in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)):
            for node in ast.walk(function):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr in _ENTRANCES:
                    found.add((path.name, function.name, called.attr))
    assert found == {
        ("session.py", "plan_query", "sql_with_options"),
        ("session.py", "ignore_statistics", "sql"),
        ("session.py", "make_session", "sql"),
        ("session.py", "make_analyser", "sql"),
        ("signatures.py", "signatures", "sql"),
        ("session.py", "engine_versions", "sql"),
        ("observing.py", "_settings", "sql"),
    }
