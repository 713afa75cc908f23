"""The TPC-DS rules run on the bare engine, and the tiny data gives nearly all of them something to return."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from datafusion import SessionContext

from support.databases import open_database, run
from support.tpcds import RULES, make_tables, schemas

EMPTY = {
    "q31": "wants a county whose web sales grew faster than its store sales twice in a row",
    "q85": "wants a return that meets a demographic, a price, a place and a narrow range of profit at once",
}
SILENT = {
    "q13": "wants a sale as narrow as q85's, and averages what it finds: nothing but NULL",
    "q95": "wants a returned order sent from two warehouses to one state, and counts none",
}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return make_tables()


@pytest.fixture(scope="module")
def engine(tables: dict[str, pa.Table]) -> SessionContext:
    return open_database(tables)


def test_there_are_99_queries() -> None:
    assert [rule.stem for rule in RULES] == [f"q{number:02}" for number in range(1, 100)]


def test_the_data_has_the_schema_and_nulls_where_dsdgen_has_them(tables: dict[str, pa.Table]) -> None:
    assert {name: table.schema for name, table in tables.items()} == schemas()
    for fact, key in (("store_sales", "ss_ticket_number"), ("catalog_sales", "cs_order_number")):
        table = tables[fact]
        nulls = {name: column.null_count for name, column in zip(table.column_names, table.columns, strict=True)}
        assert 500 < table.num_rows < 5000
        assert nulls[key] == 0
        assert sum(count > 0 for count in nulls.values()) > 12


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_every_query_has_rows_and_named_columns(engine: SessionContext, rule: Path) -> None:
    result = run(engine, rule.read_text(encoding="utf-8"))
    assert len(set(result.column_names)) == result.num_columns
    assert all(name.isidentifier() for name in result.column_names), "an unnamed column has an expression as its name"
    assert (result.num_rows == 0) == (rule.stem in EMPTY)
    assert _says_nothing(result) == (rule.stem in EMPTY | SILENT)


def _says_nothing(result: pa.Table) -> bool:
    """Whether there is no row, or only NULL and counts of nothing."""
    return {value for column in result.columns for value in column.to_pylist()} <= {None, 0}
