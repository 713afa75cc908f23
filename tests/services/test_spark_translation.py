"""Every entry of the allow list for Spark is executed by both engines over nasty values, and the tables compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from compiler.spark.expressions import ALLOWED, FUNCTIONS
from rules.engine.protocol import Executed, Job, UndecidedError
from rules.engine.spark import execute
from rules.engine.spark.execute import read_parts
from rules.engine.spark.staging import Staging
from rules.engine.stopping import Stop
from support import inprocess, spark
from support.projects import SampleProject
from support.spark_cases import GROUPS, LOCALLY, QUERIES, ROWS, WITHIN, nasty

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


def test_every_entry_of_the_allow_list_has_examples() -> None:
    assert {kind.__name__ for kind in ALLOWED} | set(FUNCTIONS) == set(ROWS) | set(GROUPS) | set(WITHIN)
    assert all(f"{name.upper()}(" in QUERIES[query] for name, query in WITHIN.items())


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
    undecided = list[str]()
    run = execute.execute

    def noting(remote: str, job: Job, stop: Stop, staging: Staging | None = None) -> Executed:
        try:
            return run(remote, job, stop, staging)
        except UndecidedError:
            undecided.append(job.query.sql)
            raise

    with monkeypatch.context() as patched:
        patched.setattr(execute, "execute", noting)
        built = inprocess.build(there, "--profile", "cluster")
    assert len(undecided) == len(LOCALLY), "the others are computed by Spark"
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
    assert len(read) == len(built.executed - with_floats - LOCALLY)
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


def test_a_change_of_sign_keeps_all_digits(remote: str, tmp_path: Path) -> None:
    here = SampleProject(tmp_path / "here", sources=["t"], toml=spark.profile(remote))
    digits = ("9" * 28 + ".9999999999", "1234567890123456789012345678.1234567891", "0.0000000001", "0", None)
    values = [Decimal(f"{sign}{one}") if one else None for one in digits for sign in ("", "-")]
    here.parquet("t", {"z": pa.array(values, pa.decimal128(38, 10))})
    here.sql("signs", "SELECT z, -z AS a, abs(z) AS b, -abs(-z) AS c FROM t")
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    inprocess.build(here)
    assert inprocess.build(there, "--profile", "cluster").executed == {"signs"}
    spark.assert_same_bag(here, there, "signs")


@pytest.mark.soak
def test_each_character_has_one_upper_and_lower_case(remote: str, tmp_path: Path) -> None:
    """Both alone, and about a sigma, whose lower case depends on what is around it."""
    here = SampleProject(tmp_path / "here", sources=["t"], toml=spark.profile(remote))
    here.parquet("t", {"s": [chr(one) for one in range(1 << 20 | 1 << 16) if not 0xD800 <= one < 0xE000]})
    sides = ("s", "'a' || s || 'b'", "s || 'Σ'", "'A' || s || 'Σ'", "'AΣ' || s", "'AΣ' || s || 'B'")
    cases = [f"{name}({one}) AS {name}{place}" for name in ("upper", "lower") for place, one in enumerate(sides)]
    here.sql(
        "cases", f"SELECT s, trim(s) AS trimmed, reverse(s || 'a') AS reversed, {', '.join(cases)} FROM t ORDER BY s"
    )
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    inprocess.build(here)
    assert inprocess.build(there, "--profile", "cluster").executed == {"cases"}
    assert here.product("cases").equals(there.product("cases"))


def artifacts(project: SampleProject) -> dict[str, str]:
    planned = inprocess.run(project, "plan", "--profile", "cluster", "--json").document
    assert planned["summary"]["clean"] == len(planned["products"]), "how rows come back is in no key"
    return {one["name"]: one["artifact"] for one in planned["products"]}
