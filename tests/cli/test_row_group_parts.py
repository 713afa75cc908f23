"""One large Parquet file: runs of its row groups are its parts, so a file that was appended to costs what was added."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.formats import row_groups
from rules.formats.row_groups import cut_out
from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GROUP = 100
TOML = """
[sources.sales]
path = "data/{0}sales.parquet"
[sources.shops]
path = "data/shops.parquet"
[parts]
min_rows = 100
"""
"""Each row group of 100 rows is a run."""
RULES = {
    "totals": "SELECT s.shop, COUNT(*) AS n, SUM(s.amount) AS amount, AVG(s.price) AS price FROM sales AS s "
    "GROUP BY s.shop",
    "floats": "SELECT s.shop, SUM(s.weight) AS weight FROM sales AS s GROUP BY s.shop",
    "large": "SELECT s.day, s.amount, p.city FROM sales AS s JOIN shops AS p ON s.shop = p.shop WHERE s.amount > 50",
    "ranks": "SELECT s.day, s.amount, RANK() OVER (PARTITION BY s.day ORDER BY s.amount) AS r FROM sales AS s",
    "rows": "SELECT COUNT(*) AS n FROM sales AS s",
}


def sales(groups: int, *, skip: int = 0) -> pa.Table:
    numbers = range(skip * GROUP, groups * GROUP)
    return pa.table(
        {
            "day": pa.array([n // GROUP for n in numbers], pa.int32()),
            "shop": pa.array([None if n % 11 == 0 else f"shop {n * n % 7}" for n in numbers]),
            "amount": pa.array([(n * 37) % 101 for n in numbers], pa.int64()),
            "price": pa.array([Decimal(n % 997) / 100 for n in numbers], pa.decimal128(10, 2)),
            "weight": pa.array([(n + 1) / (n % 7 + 3) for n in numbers], pa.float64()),
        }
    )


def put(project: SampleProject, rows: pa.Table, group: int = GROUP) -> None:
    path = next((project.root / "data").rglob("sales.parquet"), project.root / "data" / "sales.parquet")
    pq.write_table(rows, path, row_group_size=group)


def made(root: Path, folder: str = "") -> SampleProject:
    project = SampleProject(root, toml=TOML.format(folder))
    project.parquet("shops", {"shop": [f"shop {n}" for n in range(7)], "city": [f"city {n % 3}" for n in range(7)]})
    (project.root / "data" / folder).mkdir(exist_ok=True)
    pq.write_table(sales(8), project.root / "data" / f"{folder}sales.parquet", row_group_size=GROUP)
    for name, sql in RULES.items():
        project.sql(name, sql)
    return project


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return made(tmp_path / "project")


def parts(ran: Ran) -> dict[str, tuple[int, int]]:
    return {
        one["name"]: (one["parts"]["total"], one["parts"]["run"]) for one in ran.document["products"] if "parts" in one
    }


def artifacts(ran: Ran) -> dict[str, str]:
    return {one["name"]: one["artifact"] for one in ran.document["products"]}


def require_clean_build(project: SampleProject, ran: Ran, other: Path) -> None:
    """A build in an empty store gives the same tables, to the last bit."""
    fresh = SampleProject.copy_of(project.root, other)
    assert artifacts(build(fresh)) == artifacts(ran)
    for name in RULES:
        assert fresh.product(name).equals(project.product(name)), name


CHANGES: dict[str, tuple[Callable[[], pa.Table], int, int]] = {
    "appended": (lambda: sales(9), 9, 1),
    "a group that is not full": (lambda: sales(9).slice(0, 840), 9, 1),
    "shortened": (lambda: sales(6), 6, 0),
    "the first days gone": (lambda: sales(8, skip=3), 5, 0),
    "corrected": (
        lambda: pa.concat_tables([sales(4), sales(5, skip=4).slice(1), sales(1).slice(0, 1), sales(8, skip=5)]),
        8,
        1,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_costs_its_row_groups(project: SampleProject, tmp_path: Path, change: str) -> None:
    assert parts(build(project)) == dict.fromkeys(RULES, (8, 8))
    rows, total, new = CHANGES[change]
    put(project, rows())
    planned = {one["name"]: one for one in run(project, "plan", "--json").document["products"]}
    ran = build(project)
    found = parts(ran)
    assert found.keys() == ran.executed
    for name, (_, fresh) in found.items():
        verb = "is" if fresh < 2 else "are"
        assert planned[name]["reason"].endswith(f"; {fresh or 'none'} of {total} parts of sales {verb} new"), name
    assert found.pop("rows", (total, 0))[1] <= (change == "a group that is not full")  # by the number of rows alone
    if change == "corrected":  # a row of day 0 is in the group of day 4 now
        assert found.pop("ranks") == (8, 2)
    assert set(found.values()) == {(total, new)}
    require_clean_build(project, ran, tmp_path / "clean")
    assert list((project.root / ".rules" / "tmp").iterdir()) == []


def test_a_new_column_moves_nothing(project: SampleProject) -> None:
    build(project)
    put(project, sales(8).append_column("note", [["x"] * 8 * GROUP]))
    assert build(project).executed == set()


@pytest.mark.slow
def test_rows_cut_otherwise(project: SampleProject, tmp_path: Path) -> None:
    build(project)
    put(project, sales(8), group=2 * GROUP)
    ran = build(project)
    assert parts(ran)["totals"] == (4, 4)
    whole = SampleProject.copy_of(project.root, tmp_path / "whole")
    whole.edit("rules.toml", "min_rows = 100", "min_rows = 1000000")
    assert parts(build(whole)) == {}
    for name in RULES.keys() - {"floats"}:
        rows = [sorted(map(repr, one.product(name).to_pylist())) for one in (project, whole)]
        assert rows[0] == rows[1], name


def test_a_large_other_side_is_joined_once(project: SampleProject) -> None:
    project.parquet("shops", {"shop": [f"shop {n}" for n in range(70)], "city": [f"city {n % 3}" for n in range(70)]})
    found = parts(build(project))
    assert "large" not in found
    assert found["totals"] == (8, 8)


@pytest.mark.slow
def test_a_column_in_the_name_of_a_folder(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "year=2024/")
    project.sql("years", "SELECT s.year, SUM(s.amount) AS amount FROM sales AS s GROUP BY s.year")
    assert parts(build(project))["years"] == (8, 8)
    assert project.product("years").to_pylist() == [{"year": "2024", "amount": sum(sales(8)["amount"].to_pylist())}]
    put(project, sales(9))
    assert parts(build(project))["years"] == (9, 1)


def test_a_python_rule_by_part(project: SampleProject) -> None:
    project.write(
        "rules/late.py",
        "import pyarrow as pa\nfrom rules import rule\n\n\n"
        '@rule(engine="arrow", output={"day": pa.int32()}, reads={"sales": ["day", "amount"]}, by_part=["sales"])\n'
        "def late(sales):\n    for batch in sales:\n"
        '        yield batch.filter(pa.compute.greater(batch["amount"], 50)).select(["day"])\n',
    )
    assert parts(build(project))["late"] == (8, 8)
    days = [row["day"] for row in sales(8).to_pylist() if row["amount"] > 50]
    assert project.product("late")["day"].to_pylist() == days
    put(project, sales(9))
    assert parts(build(project))["late"] == (9, 1)


def test_a_threshold_that_falls_cuts_the_file(project: SampleProject) -> None:
    project.edit("rules.toml", "min_rows = 100", "min_rows = 1000")
    assert parts(build(project)) == {}
    project.edit("rules.toml", "min_rows = 1000", "min_rows = 100")
    assert parts(build(project))["totals"] == (8, 8)


def test_a_file_that_is_replaced_meanwhile_fails_its_rules(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(*arguments: Any) -> None:
        put(project, sales(2).slice(50), group=7)
        cut_out(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(row_groups, "cut_out", replaced)
        ran = build(project, expect=1)
    assert {one["error"]["code"] for one in ran.document["products"] if one["status"] == "failed"} == {"source-changed"}
    require_clean_build(project, build(project), tmp_path / "clean")


@pytest.mark.slow
def test_an_audit_and_a_forced_build_agree(project: SampleProject) -> None:
    first = build(project)
    audited = build(project, "--audit", "all")
    assert audited.document["audit"]["differing"] == []
    forced = build(project, "--force", "*")
    assert parts(forced) == parts(first)
    assert artifacts(forced) == artifacts(first)
