"""No column is read in vain: of every column in a read set, some change of its values changes the result.

That nothing outside the read sets matters is shown in properties/test_forms.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext
from sqlglot import exp

from compiler.sql.dialect import parse
from support.compiling import TestCompiler
from support.databases import Database, open_database, run, same_table
from support.tpcds import RULES as TPCDS_RULES
from support.tpcds import make_tables
from support.tpch import FIXTURE, make_project

TPCH_RULES = sorted((FIXTURE / "rules").glob("*.sql"))
SAME_GROUPS = "a grouping key beside the key of its table, so no value of its own makes other groups of this data"
OTHER_TERM = "one operand of an OR, and in this data another one decides for every row that comes that far"
TOO_NARROW = "no row of the tiny data is one column away from the result"
UNMOVED = {
    "q04": (SAME_GROUPS, "customer.c_birth_country"),
    "q07": (OTHER_TERM, "promotion.p_channel_email"),
    "q11": (SAME_GROUPS, "customer.c_email_address"),
    "q13": (
        TOO_NARROW,
        (
            "customer_address.ca_address_sk customer_address.ca_country customer_address.ca_state "
            "customer_demographics.cd_demo_sk customer_demographics.cd_education_status "
            "customer_demographics.cd_marital_status date_dim.d_date_sk date_dim.d_year "
            "household_demographics.hd_demo_sk household_demographics.hd_dep_count store.s_store_sk "
            "store_sales.ss_addr_sk store_sales.ss_cdemo_sk "
            "store_sales.ss_ext_sales_price store_sales.ss_ext_wholesale_cost store_sales.ss_hdemo_sk "
            "store_sales.ss_net_profit store_sales.ss_quantity store_sales.ss_sales_price store_sales.ss_sold_date_sk "
            "store_sales.ss_store_sk"
        ),
    ),
    "q23": (SAME_GROUPS, "item.i_item_desc"),
    "q24": (
        "a grouping key of sums that are summed again; a mean in the HAVING sees the groups, and nothing comes near it",
        "customer_address.ca_state item.i_current_price item.i_manager_id item.i_size item.i_units store.s_state",
    ),
    "q26": (OTHER_TERM, "promotion.p_channel_email"),
    "q31": (
        TOO_NARROW,
        (
            "date_dim.d_date_sk date_dim.d_year store_sales.ss_addr_sk store_sales.ss_ext_sales_price "
            "store_sales.ss_sold_date_sk web_sales.ws_bill_addr_sk web_sales.ws_ext_sales_price "
            "web_sales.ws_sold_date_sk"
        ),
    ),
    "q38": (
        "a column of the rows that three channels have in common, and they differ in others",
        "customer.c_first_name",
    ),
    "q39": (SAME_GROUPS, "warehouse.w_warehouse_name"),
    "q54": (TOO_NARROW, "catalog_sales.cs_bill_customer_sk catalog_sales.cs_item_sk catalog_sales.cs_sold_date_sk"),
    "q61": (OTHER_TERM, "promotion.p_channel_tv"),
    "q72": (
        "half of the key of a left join that only repeats rows, and a change of one half makes no sale match twice",
        "catalog_returns.cr_item_sk catalog_returns.cr_order_number catalog_sales.cs_order_number",
    ),
    "q85": (
        TOO_NARROW,
        (
            "customer_address.ca_country customer_demographics.cd_demo_sk customer_demographics.cd_education_status "
            "customer_demographics.cd_marital_status date_dim.d_date_sk date_dim.d_year reason.r_reason_desc "
            "reason.r_reason_sk web_page.wp_web_page_sk web_returns.wr_fee web_returns.wr_item_sk "
            "web_returns.wr_order_number web_returns.wr_reason_sk web_returns.wr_refunded_cash "
            "web_returns.wr_refunded_cdemo_sk web_returns.wr_returning_cdemo_sk web_sales.ws_item_sk "
            "web_sales.ws_net_profit web_sales.ws_order_number web_sales.ws_quantity web_sales.ws_sales_price "
            "web_sales.ws_sold_date_sk web_sales.ws_web_page_sk"
        ),
    ),
    "q95": (
        TOO_NARROW,
        (
            "date_dim.d_date_sk web_sales.ws_ext_ship_cost web_sales.ws_net_profit web_sales.ws_ship_addr_sk "
            "web_sales.ws_ship_date_sk web_sales.ws_warehouse_sk web_sales.ws_web_site_sk web_site.web_company_name "
            "web_site.web_site_sk"
        ),
    ),
}
"""Of TPC-DS queries, the columns that nothing moves, and why. TPC-H has none: there every column moves something."""


def changes(column: pa.ChunkedArray, texts: list[str]) -> Iterator[pa.Array]:
    """Yield a column's values changed in many ways, some of them drawn from the literals of the query, `texts`."""
    rows, kind = len(column), column.type
    yield column.take(pa.array(random.Random(1).sample(range(rows), rows)))
    yield shifted(column)
    yield pa.nulls(rows, kind)
    every_second = pa.array([row % 2 == 0 for row in range(rows)])
    for value in [*literals(kind, texts), pc.min(column), pc.max(column)]:
        constant = pa.repeat(value, rows)
        yield constant
        yield pc.if_else(every_second, column, constant)


def shifted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return other values, different ones for different ones."""
    kind = column.type
    if pa.types.is_string(kind):
        return pc.binary_join_element_wise(column, "!", "")
    whole = pa.int32() if pa.types.is_date(kind) else kind
    return pc.add(column.cast(whole), pa.scalar("1").cast(whole)).cast(kind)


def literals(kind: pa.DataType, texts: list[str]) -> Iterator[pa.Scalar]:
    for text in texts:
        try:
            yield pa.scalar(text).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a literal of another type
            continue


def unmoved(sql: str, tables: Database, session: SessionContext) -> set[str]:
    """Return the columns of the query's read sets that no change of theirs is seen in the result of."""
    compiled = TestCompiler({name: table.schema for name, table in tables.items()}).compile(sql)
    before = run(session, sql)
    texts = list(dict.fromkeys(one.name.replace("%", "") for one in parse(sql).find_all(exp.Literal)))
    found = set()
    for name, columns in zip(compiled.inputs, compiled.reads, strict=True):
        table = tables[name]
        for column in columns:
            at = table.schema.get_field_index(column)
            others = (table.set_column(at, column, values) for values in changes(table[column], texts))
            if not any(moves(sql, name, other, session, before) for other in others):
                found.add(f"{name}.{column}")
        register(session, name, table)
    return found


def moves(sql: str, name: str, table: pa.Table, session: SessionContext, before: pa.Table) -> bool:
    """Whether the query gives another bag of rows once a table is replaced."""
    register(session, name, table)
    try:
        after = run(session, sql)
    except Exception:  # noqa: BLE001 — a change that makes the query fail shows nothing about its result
        return False
    return not same_table(before, after, ordered=False, float_tolerance=1e-9)


def register(session: SessionContext, name: str, table: pa.Table) -> None:
    session.deregister_table(name)
    session.register_record_batches(name, [table.combine_chunks().to_batches()])


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, SessionContext]:
    folder = make_project(tmp_path_factory.mktemp("tpch")) / "data"
    tables = {path.stem: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}
    return tables, open_database(tables)


@pytest.mark.slow
@pytest.mark.parametrize("rule", TPCH_RULES, ids=lambda rule: rule.stem)
def test_tpch_queries_need_every_column_they_read(tpch: tuple[Database, SessionContext], rule: Path) -> None:
    assert unmoved(rule.read_text(encoding="utf-8"), *tpch) == set()


@pytest.fixture(scope="module")
def tpcds() -> tuple[Database, SessionContext]:
    tables = make_tables()
    return tables, open_database(tables)


@pytest.mark.soak
@pytest.mark.parametrize("rule", TPCDS_RULES, ids=lambda rule: rule.stem)
def test_tpcds_queries_need_every_column_they_read(tpcds: tuple[Database, SessionContext], rule: Path) -> None:
    _, excused = UNMOVED.get(rule.stem, ("", ""))
    assert unmoved(rule.read_text(encoding="utf-8"), *tpcds) == set(excused.split())
