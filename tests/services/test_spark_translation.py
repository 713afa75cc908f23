"""Every entry of the allow list for Spark is executed by both engines over nasty values, and the tables compared."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from compiler.spark.expressions import ALLOWED, FUNCTIONS
from support import inprocess, spark
from support.projects import SampleProject
from support.spark_cases import GROUPS, QUERIES, ROWS, nasty

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with spark.cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


def test_every_entry_of_the_allow_list_has_examples() -> None:
    assert {kind.__name__ for kind in ALLOWED} | set(FUNCTIONS) == set(ROWS) | set(GROUPS)


def test_both_engines_make_the_same_tables(remote: str, tmp_path: Path) -> None:
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
        assert_same_bag(here, there, name)


def assert_same_bag(here: SampleProject, there: SampleProject, name: str) -> None:
    """Compare types exactly, and rows as a bag, floats by their bits."""
    mine, others = here.product(name), there.product(name)
    assert mine.schema.equals(others.schema), name
    mine, others = (
        table.sort_by([("id", "ascending")]) if "id" in table.column_names else table for table in (mine, others)
    )
    for column in mine.column_names:
        found, expected = bits(others[column]), bits(mine[column])
        if "id" in mine.column_names and len(set(mine["id"].to_pylist())) == len(mine):
            assert found == expected, (name, column)
        assert sorted(map(repr, found)) == sorted(map(repr, expected)), (name, column)
    rows = [list(zip(*(bits(table[one]) for one in table.column_names), strict=True)) for table in (mine, others)]
    assert sorted(map(repr, rows[0])) == sorted(map(repr, rows[1])), name


def bits(values: pa.ChunkedArray) -> list[object]:
    """Return values, floats by their bits and dates as days, as Python has none after the year 9999."""
    if pa.types.is_floating(values.type):
        return [None if one is None else struct.pack("<d", one).hex() + f" {one}" for one in values.to_pylist()]
    return list((values.cast(pa.int32()) if pa.types.is_date32(values.type) else values).to_pylist())
