"""Windows, dedupes and groups by a column that no two parts share are done part by part, as the values allow."""

from __future__ import annotations

import datetime
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

TOML = '\n[sources.sales]\npath = "data/sales"\n[parts]\nmin_rows = 1\n'
RULES = {
    "ranked": "SELECT s.day, s.id, ROW_NUMBER() OVER (PARTITION BY s.day ORDER BY s.amount, s.id) AS place "
    "FROM sales AS s",
    "latest": "SELECT s.day, s.shop, s.id FROM sales AS s "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY s.day, s.shop ORDER BY s.id DESC) = 1",
    "medians": "SELECT s.day, MEDIAN(s.amount) AS amount FROM sales AS s GROUP BY s.day",
    "by_day": "SELECT s.day, s.shop, COUNT(*) AS n, SUM(s.weight) AS weight FROM sales AS s GROUP BY s.day, s.shop",
}
READ_AMOUNT = {"ranked", "medians"}
DAYS = 12


def rows(number: int, count: int = 20, plus: int = 0, start: int | None = None) -> pa.Table:
    start = number * 1000 if start is None else start
    return pa.table(
        {
            "day": pa.array([number] * count, pa.int32()),
            "id": pa.array(range(start, start + count), pa.int64()),
            "shop": pa.array([f"shop {n % 5}" for n in range(count)]),
            "amount": pa.array([(n * 37 + number) % 11 + plus for n in range(count)], pa.int64()),
            "weight": pa.array([(n + 1) / (number + 3) for n in range(count)], pa.float64()),
        }
    )


def put(project: SampleProject, name: str | int, table: pa.Table, **options: Any) -> None:
    name = f"day_{name:03d}" if isinstance(name, int) else name
    path = project.root / "data" / "sales" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml=TOML)
    for number in range(1, DAYS + 1):
        put(made, number, rows(number))
    for name, sql in RULES.items():
        made.sql(name, sql)
    return made


def parts(ran: Ran) -> dict[str, tuple[int, int]]:
    return {
        one["name"]: (one["parts"]["total"], one["parts"]["run"]) for one in ran.document["products"] if "parts" in one
    }


def sorted_rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def require_right(project: SampleProject, ran: Ran, folder: Path) -> None:
    """The products are those of an empty store, to the last bit, and those of the whole queries as bags."""
    artifacts = {one["name"]: one["artifact"] for one in ran.document["products"]}
    for name, least in (("clean", "1"), ("whole", "1000000000")):
        shutil.rmtree(folder / name, ignore_errors=True)
        other = SampleProject.copy_of(project.root, folder / name)
        other.edit("rules.toml", "min_rows = 1", f"min_rows = {least}")
        made = build(other)
        if name == "clean":
            assert {one["name"]: one["artifact"] for one in made.document["products"]} == artifacts
        for product in artifacts:
            found = [one.product(product) for one in (project, other)]
            if name == "whole" and "weight" in found[0].column_names:
                found = [one.drop_columns(["weight"]) for one in found]
            assert sorted_rows(found[0]) == sorted_rows(found[1]), (name, product)


@pytest.mark.slow
def test_each_rule_reads_every_part_once_and_a_new_day_alone(project: SampleProject, tmp_path: Path) -> None:
    assert parts(build(project)) == dict.fromkeys(RULES, (DAYS, DAYS))
    put(project, DAYS + 1, rows(DAYS + 1))
    planned = run(project, "plan", "--json").document
    for one in planned["products"]:
        assert one["reason"].endswith(f"1 of {DAYS + 1} parts of sales is new"), one
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS + 1, 1))
    require_right(project, ran, tmp_path)
    assert build(project).executed == set()


def late(number: int, day: int) -> pa.Table:
    return pa.concat_tables([rows(number), rows(day, 2, start=number * 1000 + 500)])


@pytest.mark.slow
def test_a_late_row_joins_its_day_alone(project: SampleProject, tmp_path: Path) -> None:
    """Its file has two days that are far apart, so a range would join it with all days between."""
    build(project)
    put(project, DAYS + 1, late(DAYS + 1, 2))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS + 1, 2))
    put(project, 7, rows(7, plus=1))
    put(project, DAYS + 2, rows(DAYS + 2))
    ran = build(project)
    assert parts(ran) == {name: (DAYS + 2, 2 if name in READ_AMOUNT else 1) for name in RULES}
    put(project, 2, rows(2, plus=1))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(READ_AMOUNT, (DAYS + 2, 2))
    require_right(project, ran, tmp_path)


@pytest.mark.slow
def test_a_deleted_day_costs_nothing(project: SampleProject, tmp_path: Path) -> None:
    build(project)
    (project.root / "data/sales/day_004.parquet").unlink()
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS - 1, 0))
    require_right(project, ran, tmp_path)


EXACT = {
    "counted": "SELECT s.day, s.shop, COUNT(*) AS n, SUM(s.amount) AS amount FROM sales AS s GROUP BY s.day, s.shop",
    "shops": "SELECT s.day, COUNT(DISTINCT s.shop) AS shops FROM sales AS s GROUP BY s.day",
    "of_most": "SELECT s.day, s.id, MAX(s.amount) OVER (PARTITION BY s.day) AS most FROM sales AS s",
}


def read(ran: Ran, names: Iterable[str]) -> dict[str, int]:
    """Return how many parts each of some rules read."""
    return {name: parts(ran).get(name, (0, 0))[1] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("of_product", [False, True])
def test_rows_of_a_group_that_are_cut_otherwise_run_no_exact_rule(
    project: SampleProject, tmp_path: Path, *, of_product: bool
) -> None:
    """A file of a day is split, cut elsewhere, and merged again; that can change sums of floats, and what ties show."""
    rules = {**EXACT, "by_day": RULES["by_day"], "ranked": RULES["ranked"]}
    if of_product:
        project.sql("passed", "SELECT s.day, s.id, s.shop, s.amount, s.weight FROM sales AS s WHERE s.id >= 0")
    for name, sql in rules.items():
        project.sql(name, sql.replace("FROM sales", "FROM passed") if of_product else sql)
    put(project, DAYS + 1, late(DAYS + 1, 2))
    build(project)
    day = rows(5)
    for first in (8, 13):
        put(project, "day_005", day.slice(0, first))
        put(project, "day_005b", day.slice(first))
        ran = build(project)
        assert read(ran, rules) == {name: 0 if name in EXACT else 2 for name in rules}
        require_right(project, ran, tmp_path)
    (project.root / "data/sales/day_005b.parquet").unlink()
    put(project, "day_005", day)
    assert read(build(project), rules) == dict.fromkeys(rules, 0)
    put(project, DAYS + 1, rows(DAYS + 1))  # the days are apart again, and the late rows in a file of their own
    put(project, "day_002b", late(DAYS + 1, 2).slice(20))
    # They were one group. Of a product it is seen before that its rows are the same.
    assert read(build(project), EXACT) == dict.fromkeys(EXACT, 0 if of_product else 3)
    put(project, "day_005", pa.concat_tables([day.slice(7), day.slice(0, 7)]))  # other rows, as their order is other
    assert read(build(project), EXACT) == dict.fromkeys(EXACT, 0 if of_product else 1)


@pytest.mark.slow
def test_null_is_a_value(project: SampleProject, tmp_path: Path) -> None:
    def with_null(number: int) -> pa.Table:
        table = rows(number)
        return pa.concat_tables([table, table.slice(0, 1).set_column(0, "day", pa.array([None], pa.int32()))])

    put(project, 3, with_null(3))
    put(project, 9, with_null(9))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS, DAYS))
    require_right(project, ran, tmp_path)
    put(project, 9, with_null(10).slice(20))  # NULL alone
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS, 2))
    require_right(project, ran, tmp_path)


KINDS: dict[str, Callable[[int], Any]] = {
    "string": lambda number: f"day {number:03d}",
    "long_string": lambda number: "x" * 70 + f"{number:03d}",
    "bytes": lambda number: bytes([number, 255 - number]),
    "date": lambda number: datetime.date(2024, 1, 1) + datetime.timedelta(number),
    "timestamp": lambda number: datetime.datetime(2024, 1, number, tzinfo=datetime.UTC),
    "decimal": lambda number: Decimal(number - 6).scaleb(-2),
    "large": lambda number: 2**63 + number,
}
TYPES = {
    "string": pa.string(),
    "long_string": pa.string(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ns", "UTC"),
    "decimal": pa.decimal128(20, 2),
    "large": pa.uint64(),
}


@pytest.mark.slow
@pytest.mark.parametrize("statistics", [True, False])
def test_keys_of_every_type(tmp_path: Path, *, statistics: bool) -> None:
    """Two days share the value of the day 5; statistics may cut long strings, or be missing."""

    def with_keys(number: int, count: int, values: list[int]) -> pa.Table:
        table = rows(number, count)
        for kind, value in KINDS.items():
            table = table.append_column(kind, pa.array([value(n) for n in values], TYPES[kind]))
        return table

    project = SampleProject(tmp_path / "project", toml=TOML)
    for number in range(1, 9):
        table = with_keys(number, 20, [5, 7] * 10 if number == 7 else [number] * 20)
        put(project, number, table, write_statistics=statistics)
    for kind in KINDS:
        project.sql(kind, f"SELECT s.id, RANK() OVER (PARTITION BY s.{kind} ORDER BY s.id) AS place FROM sales AS s")
    assert parts(build(project)) == dict.fromkeys(KINDS, (8, 8))
    put(project, 5, with_keys(5, 3, [5] * 3))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(KINDS, (8, 2))
    require_right(project, ran, tmp_path)


def test_what_is_no_key_leaves_the_rule_whole(project: SampleProject, tmp_path: Path) -> None:
    for number in range(1, DAYS + 1):
        put(project, number, rows(number).append_column("at", pa.array([float(number), float("nan")] * 10)))
    for name in RULES:
        (project.root / "rules" / f"{name}.sql").unlink()
    for column in ("at", "shop"):  # floats, and what all parts share
        project.sql(column, f"SELECT s.id, RANK() OVER (PARTITION BY s.{column} ORDER BY s.id) AS r FROM sales AS s")
    ran = build(project)
    assert parts(ran) == {}
    require_right(project, ran, tmp_path)


@pytest.mark.slow
def test_ids_that_grow_are_apart_but_for_a_few(project: SampleProject, tmp_path: Path) -> None:
    """Files of many ids, of which one repeats an id of an old file."""
    for number in range(1, DAYS + 1):
        put(project, number, rows(number, 600))
    sql = "SELECT s.id, s.amount FROM sales AS s QUALIFY ROW_NUMBER() OVER (PARTITION BY s.id ORDER BY s.day DESC) = 1"
    project.sql("newest", sql)
    build(project)
    put(project, DAYS + 1, pa.concat_tables([rows(DAYS + 1, 600), rows(DAYS + 1, 1, start=3005)]))
    ran = build(project)
    assert parts(ran) == dict.fromkeys([*RULES, "newest"], (DAYS + 1, 1)) | {"newest": (DAYS + 1, 2)}
    assert project.product("newest").num_rows == 600 * (DAYS + 1)
    require_right(project, ran, tmp_path)


def test_columns_in_the_names_of_folders(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", toml=TOML + '[sources.sales.columns]\nmonth = "int32"\n')
    for number in range(1, 13):  # 10 comes before 2
        put(project, f"month={number}/a", rows(number).drop_columns(["day"]))
    sql = "SELECT s.month, s.id, SUM(s.amount) OVER (PARTITION BY s.month ORDER BY s.id) AS total FROM sales AS s"
    project.sql("running", sql)
    assert parts(build(project)) == {"running": (12, 12)}
    put(project, "month=2/b", rows(2, start=2500).drop_columns(["day"]))
    ran = build(project)
    assert parts(ran)["running"] == (13, 2)
    require_right(project, ran, tmp_path)


@pytest.mark.slow
def test_a_rule_after_a_keyed_one_inherits_its_parts(project: SampleProject, tmp_path: Path) -> None:
    project.sql("first", "SELECT r.day, r.id FROM ranked AS r WHERE r.place = 1")
    project.sql("again", "SELECT r.id, COUNT(*) OVER (PARTITION BY r.day) AS n FROM ranked AS r")
    build(project)
    put(project, DAYS + 1, rows(DAYS + 1))
    ran = build(project)
    assert parts(ran)["first"] == parts(ran)["again"] == (DAYS + 1, 1)
    require_right(project, ran, tmp_path)


@pytest.mark.slow
def test_an_audit_finds_no_difference(project: SampleProject) -> None:
    build(project)
    put(project, DAYS + 1, late(DAYS + 1, 2))
    build(project)
    ran = run(project, "audit", "--json")
    assert (ran.document["status"], set(ran.document["checked"])) == ("ok", set(RULES))
