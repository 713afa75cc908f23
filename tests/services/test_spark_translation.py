"""Every entry of the allow list for Spark is executed by both engines over nasty values, and the tables compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from compiler.spark.expressions import ALLOWED, FUNCTIONS
from rules.engine.spark import execute
from rules.engine.spark.execute import read_parts
from rules.engine.stopping import Stop
from support import inprocess, spark
from support.projects import SampleProject
from support.spark_cases import GROUPS, QUERIES, ROWS, nasty

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


def test_every_entry_of_the_allow_list_has_examples() -> None:
    assert {kind.__name__ for kind in ALLOWED} | set(FUNCTIONS) == set(ROWS) | set(GROUPS)


def test_both_engines_make_the_same_tables(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One rule for all examples of an entry: a query of Spark takes a second."""
    here = SampleProject(tmp_path / "here", sources=["t"], toml=spark.profile(remote))
    here.parquet("t", nasty())
    rows = [one for examples in ROWS.values() for one in examples]
    here.sql(
        "rows_of_all", "SELECT id, " + ", ".join(f"{one} AS c{place}" for place, one in enumerate(rows)) + " FROM t"
    )
    totals = [one for examples in GROUPS.values() for one in examples]
    outputs = ", ".join(f"{one} AS c{place}" for place, one in enumerate(totals))
    few = " AND (n IS NULL OR n BETWEEN -1000 AND 1000)"
    here.sql("by_group", f"SELECT b, {outputs} FROM t WHERE id >= 0 GROUP BY b")
    here.sql("of_few", f"SELECT {outputs} FROM t WHERE id >= 0{few}")
    here.sql("of_none", f"SELECT {outputs} FROM t WHERE id < 0")
    for name, query in QUERIES.items():
        here.sql(name, query)
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    planned = inprocess.run(there, "plan", "--profile", "cluster", "--json").document["products"]
    assert {one["name"]: one.get("engine_reason") for one in planned if one["engine"] != "spark"} == {}
    inprocess.build(here)
    built = inprocess.build(there, "--profile", "cluster")
    assert set(built.statuses.values()) <= {"executed", "restored"}  # some are written in two ways
    for name in built.statuses:
        spark.assert_same_bag(here, there, name)
    files = SampleProject.copy_of(here.root, tmp_path / "files")
    read: list[Iterable[Path]] = []

    def noted(parts: Iterable[Path], schema: pa.Schema, count: int, stop: Stop) -> Iterator[pa.RecordBatch]:
        read.append(parts)
        return read_parts(parts, schema, count, stop)

    monkeypatch.setattr(execute, "read_parts", noted)
    inprocess.build(files, "--profile", "cluster", "--set", "spark_writes=true")
    with_floats = {name for name in built.executed if pa.float64() in there.product(name).schema.types}
    assert len(read) == len(built.executed - with_floats)
    assert "rows_of_all" in with_floats, "NaN has several forms, which files do not keep"
    assert artifacts(files) == artifacts(there)
    assert [path for path in (files.root / ".rules" / "tmp").rglob("*") if path.is_file()] == []


def test_columns_that_spark_cannot_read_are_in_nobodys_way(remote: str, tmp_path: Path) -> None:
    here = SampleProject(tmp_path / "here", sources=["t"], toml=spark.profile(remote))
    stamps = pa.array([1, None], pa.timestamp("ns"))
    here.parquet("t", {"k": [1, 2], "at": stamps, "a `b`": [5, 6]})
    here.sql("kept", 'SELECT k, "a `b`" FROM t')
    here.sql("rows", "SELECT 'x' AS a FROM t UNION ALL SELECT 'y' FROM t")
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    inprocess.build(here)
    assert inprocess.build(there, "--profile", "cluster").executed == {"kept", "rows"}
    for name in ("kept", "rows"):
        spark.assert_same_bag(here, there, name)


def artifacts(project: SampleProject) -> dict[str, str]:
    planned = inprocess.run(project, "plan", "--profile", "cluster", "--json").document
    assert planned["summary"]["clean"] == len(planned["products"]), "how rows come back is in no key"
    return {one["name"]: one["artifact"] for one in planned["products"]}
