"""The TPC-H rules mean what the specification says: run on the bare engine, compared with plain Python."""

import hashlib
import os
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionConfig, SessionContext

from support.tpch import FIXTURE, GENERATOR, make_project

QUERIES = sorted(path.stem for path in (FIXTURE / "rules").glob("*.sql"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("tpch"))


@pytest.fixture(scope="module")
def engine(project: Path) -> SessionContext:
    context = SessionContext(SessionConfig().with_target_partitions(1))
    for name, source in tomllib.loads((project / "rules.toml").read_text())["sources"].items():
        context.register_parquet(name, str(project / source["path"]))
    return context


def run(engine: SessionContext, project: Path, query: str) -> pa.Table:
    frame = engine.sql((project / "rules" / f"{query}.sql").read_text())
    return pa.Table.from_batches(frame.collect(), frame.schema())


def results(engine: SessionContext, project: Path, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in run(engine, project, query).to_pylist()]


def rows(project: Path, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    read = pq.read_table(project / "data" / f"{table}.parquet", columns=list(columns))
    return zip(*(read[column].to_pylist() for column in columns), strict=True)


def test_there_are_22_queries() -> None:
    assert [f"q{number:02}" for number in range(1, 23)] == QUERIES


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_has_rows_and_distinct_column_names(engine: SessionContext, project: Path, query: str) -> None:
    result = run(engine, project, query)
    assert result.num_rows >= 1
    assert len(set(result.column_names)) == result.num_columns
    assert all(name.isidentifier() for name in result.column_names), "an unnamed column has an expression as its name"
    assert all(column.null_count < result.num_rows for column in result.columns), "a column holds nothing but NULL"


def test_q01_sums_and_averages(engine: SessionContext, project: Path) -> None:
    groups: dict[tuple[str, str], list[tuple[Decimal, ...]]] = defaultdict(list)
    columns = ("l_returnflag", "l_linestatus", "l_shipdate", "l_quantity", "l_extendedprice", "l_discount", "l_tax")
    for flag, status, shipped, quantity, price, discount, tax in rows(project, "lineitem", *columns):
        if shipped <= date(1998, 9, 2):
            net = price * (1 - discount)
            groups[flag, status].append((quantity, price, net, net * (1 + tax), discount))
    found = results(engine, project, "q01")
    assert [row[:2] for row in found] == sorted(groups)
    for row in found:
        members = groups[row[:2]]
        quantity, price, net, charge, discount = (sum(column) for column in zip(*members, strict=True))
        assert row[2:6] == (quantity, price, net, charge)
        means = [total / len(members) for total in (quantity, price, discount)]
        assert row[6:9] == pytest.approx(means, rel=0, abs=Decimal("0.000001"))
        assert row[9] == len(members)


def test_q04_counts_an_order_once(engine: SessionContext, project: Path) -> None:
    late = {
        key
        for key, due, received in rows(project, "lineitem", "l_orderkey", "l_commitdate", "l_receiptdate")
        if due < received
    }
    expected = Counter(
        priority
        for key, day, priority in rows(project, "orders", "o_orderkey", "o_orderdate", "o_orderpriority")
        if key in late and date(1993, 7, 1) <= day < date(1993, 10, 1)
    )
    assert results(engine, project, "q04") == sorted(expected.items())


def test_q06_takes_in_both_ends_of_the_discount_range(engine: SessionContext, project: Path) -> None:
    columns = ("l_shipdate", "l_discount", "l_quantity", "l_extendedprice")
    chosen = [
        (discount, price * discount)
        for shipped, discount, quantity, price in rows(project, "lineitem", *columns)
        if shipped.year == 1994 and Decimal("0.05") <= discount <= Decimal("0.07") and quantity < 24
    ]
    # In floats 0.06 + 0.01 is less than 0.07: the comparison is worth its name only if some line has that discount.
    assert {discount for discount, _ in chosen} == {Decimal("0.05"), Decimal("0.06"), Decimal("0.07")}
    assert results(engine, project, "q06") == [(sum(value for _, value in chosen),)]


def test_q13_keeps_customers_without_orders(engine: SessionContext, project: Path) -> None:
    counts = dict.fromkeys((key for (key,) in rows(project, "customer", "c_custkey")), 0)
    special = 0
    for customer, comment in rows(project, "orders", "o_custkey", "o_comment"):
        if "requests" in comment.partition("special")[2]:
            special += 1
        else:
            counts[customer] += 1
    assert special > 0
    expected = sorted(Counter(counts.values()).items(), key=lambda row: (row[1], row[0]), reverse=True)
    assert results(engine, project, "q13") == expected


def test_q14_is_a_percentage(engine: SessionContext, project: Path) -> None:
    kinds = dict(rows(project, "part", "p_partkey", "p_type"))
    promoted = total = Decimal(0)
    columns = ("l_partkey", "l_shipdate", "l_extendedprice", "l_discount")
    for part, shipped, price, discount in rows(project, "lineitem", *columns):
        if (shipped.year, shipped.month) == (1995, 9):
            total += price * (1 - discount)
            promoted += price * (1 - discount) if kinds[part].startswith("PROMO") else 0
    ((share,),) = results(engine, project, "q14")
    assert 0 < share < 100
    assert share == pytest.approx(float(100 * promoted / total), rel=1e-12)


def test_q18_finds_every_order_of_more_than_300_items(engine: SessionContext, project: Path) -> None:
    sizes: Counter[int] = Counter()
    for key, quantity in rows(project, "lineitem", "l_orderkey", "l_quantity"):
        sizes[key] += quantity
    names = dict(rows(project, "customer", "c_custkey", "c_name"))
    columns = ("o_custkey", "o_orderkey", "o_orderdate", "o_totalprice")
    expected = [
        (names[customer], customer, key, day, price, sizes[key])
        for customer, key, day, price in rows(project, "orders", *columns)
        if sizes[key] > 300
    ]
    expected.sort(key=lambda row: (-row[4], row[3]))
    assert results(engine, project, "q18") == expected


def test_q21_blames_the_only_late_supplier(engine: SessionContext, project: Path) -> None:
    nations = {name: key for key, name in rows(project, "nation", "n_nationkey", "n_name")}
    saudi = {
        key: name
        for key, name, nation in rows(project, "supplier", "s_suppkey", "s_name", "s_nationkey")
        if nation == nations["SAUDI ARABIA"]
    }
    done = {key for key, status in rows(project, "orders", "o_orderkey", "o_orderstatus") if status == "F"}
    suppliers, late = defaultdict(set), defaultdict(list)
    columns = ("l_orderkey", "l_suppkey", "l_commitdate", "l_receiptdate")
    for order, supplier, due, received in rows(project, "lineitem", *columns):
        suppliers[order].add(supplier)
        if received > due:
            late[order].append(supplier)
    waits = Counter(
        saudi[supplier]
        for order in done
        for supplier in late[order]
        if supplier in saudi and len(suppliers[order]) > 1 and set(late[order]) == {supplier}
    )
    assert results(engine, project, "q21") == sorted(waits.items(), key=lambda row: (-row[1], row[0]))


def test_q22_leaves_out_customers_with_orders(engine: SessionContext, project: Path) -> None:
    buyers = {key for (key,) in rows(project, "orders", "o_custkey")}
    codes = {"13", "31", "23", "29", "30", "18", "17"}
    people = [
        (key, phone[:2], balance)
        for key, phone, balance in rows(project, "customer", "c_custkey", "c_phone", "c_acctbal")
        if phone[:2] in codes
    ]
    positive = [balance for _, _, balance in people if balance > 0]
    mean = sum(positive) / len(positive)
    balances: dict[str, list[Decimal]] = defaultdict(list)
    for key, code, balance in people:
        if balance > mean and key not in buyers:
            balances[code].append(balance)
    expected = [(code, len(members), sum(members)) for code, members in sorted(balances.items())]
    assert results(engine, project, "q22") == expected


def generated(out: Path, seed: int, hash_seed: str) -> dict[str, bytes]:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, str(GENERATOR), str(out), "--scale", "0.001", "--seed", str(seed)]
    subprocess.run(command, check=True, env=environment)
    return {path.stem: path.read_bytes() for path in sorted((out / "data").iterdir())}


@pytest.mark.slow
def test_generated_bytes_follow_from_scale_and_seed_alone(tmp_path: Path) -> None:
    first = generated(tmp_path / "a", 1, "0")
    assert set(first) == set(tomllib.loads((FIXTURE / "rules.toml").read_text())["sources"])
    assert generated(tmp_path / "b", 1, "1") == first
    other = generated(tmp_path / "c", 2, "0")
    assert all(other[name] != data for name, data in first.items())


@pytest.mark.slow
def test_generated_values_are_the_same_in_every_python_version(tmp_path: Path) -> None:
    generated(tmp_path, 1, "0")
    state = hashlib.sha256()
    for path in sorted((tmp_path / "data").iterdir()):
        table = pq.read_table(path)
        state.update(str(table.schema.remove_metadata()).encode())
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            state.update("\0".join(map(str, row)).encode())
    assert state.hexdigest() == "8ab5ea2f1d9ff212ea21d34643d12b55089a3b3cbfd09976c36cc5dc4823d77e"


def test_a_scale_that_is_too_small_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(GENERATOR), str(tmp_path), "--scale", "0.0001"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the smallest is 0.001" in done.stderr
    assert list(tmp_path.iterdir()) == []
