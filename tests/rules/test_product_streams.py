"""`Project.product`: a table as one stream, as several, as an asynchronous one, and for other libraries."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from datafusion import SessionContext

from rules import Project, UserError
from support.inprocess import build
from support.projects import SampleProject

ROWS = 200_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = SampleProject(tmp_path_factory.mktemp("streams") / "sample", sources=["raw"])
    words = [f"a rather long word, number {n * 7919 % 99_991}" for n in range(ROWS)]
    made.parquet("raw", {"n": list(range(ROWS)), "word": words, "more": list(reversed(words))})
    made.sql("table_of_words", "SELECT r.n, r.word, r.more FROM raw AS r ORDER BY r.n")
    made.sql("nothing", "SELECT r.n FROM raw AS r WHERE r.n < 0")
    build(made)
    return Project(made.root)


def test_it_is_an_arrow_stream(project: Project) -> None:
    product = project.product("table_of_words", ["word", "n"])
    assert len(product) == ROWS
    table = pa.table(product)
    assert table.schema == product.schema == pa.schema(product)
    assert table.equals(project.read("table_of_words", ["word", "n"]).read_all())
    assert pa.RecordBatchReader.from_stream(product).read_all().equals(table)
    assert SessionContext().from_arrow(product).count() == ROWS
    assert repr(product) == "<product table_of_words: 200,000 rows, word, n>"


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_partitions_are_all_rows(project: Project, count: int) -> None:
    product = project.product("table_of_words", ["n"])
    readers = product.partitions(count)
    assert len(readers) == min(count, len(product.partitions(10**6)))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda reader: reader.read_all(), readers))
    assert pa.concat_tables(parts)["n"].to_pylist() == list(range(ROWS))


def test_there_are_several_partitions(project: Project) -> None:
    assert len(project.product("table_of_words").partitions(2)) == 2
    with pytest.raises(ValueError, match="at least 1, not 0"):
        project.product("table_of_words").partitions(0)


def test_asynchronous(project: Project) -> None:
    async def total() -> int:
        return sum([batch.num_rows async for batch in project.product("table_of_words")])

    async def first() -> int:
        stream = project.product("table_of_words").stream()
        async for batch in stream:
            await stream.aclose()
            return batch.num_rows
        return 0

    assert asyncio.run(total()) == ROWS
    assert 0 < asyncio.run(first()) < ROWS


def test_a_product_without_rows(project: Project) -> None:
    product = project.product("nothing")
    assert [pa.table(product).num_rows, len(product.partitions(4)), sum(1 for _ in product)] == [0, 1, 0]
    assert product.partitions(4)[0].read_all().schema == product.schema


def test_what_there_is_not(project: Project) -> None:
    with pytest.raises(UserError, match="unknown column 'm' of nothing"):
        project.product("nothing", ["m"])
    with pytest.raises(UserError, match="there is no product 'nothings' that has been built"):
        project.product("nothings")


def test_it_reads_what_was_committed_when_it_was_made(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet("raw", {"n": [1, 2, 3]})
    made.sql("one", "SELECT r.n FROM raw AS r ORDER BY r.n")
    build(made)
    product = Project(made.root).product("one")
    made.edit("rules/one.sql", "r.n FROM", "r.n + 1 AS n FROM")
    build(made)
    assert pa.table(product)["n"].to_pylist() == [1, 2, 3]
    assert pa.table(Project(made.root).product("one"))["n"].to_pylist() == [2, 3, 4]
