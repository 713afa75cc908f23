"""A table that grows costs what grew: rules read the parts of a source that are new, and merge what they know."""

from __future__ import annotations

import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import compiler.parts.readings as readings_module
from rules.engine.local import LocalEngine
from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOML = '\n[sources.sales]\npath = "data/sales"\n[sources.shops]\npath = "data/shops.parquet"\n[parts]\nmin_rows = 1\n'
RULES = {
    "totals": "SELECT s.shop, COUNT(*) AS n, SUM(s.amount) AS amount, AVG(s.price) AS price FROM sales AS s "
    "GROUP BY s.shop",
    "floats": "SELECT s.shop, SUM(s.weight) AS weight, AVG(s.weight * 0.1) AS mean FROM sales AS s GROUP BY s.shop",
    "one": "SELECT COUNT(*) AS n, MIN(s.day) AS first, MAX(s.amount) AS most FROM sales AS s",
    "large": "SELECT s.day, s.amount, p.city FROM sales AS s JOIN shops AS p ON s.shop = p.shop WHERE s.amount > 50",
    "best": "SELECT s.shop, SUM(s.amount) AS amount FROM sales AS s GROUP BY s.shop HAVING COUNT(*) > 1 "
    "ORDER BY amount DESC, s.shop LIMIT 3",
    "distinct_days": "SELECT COUNT(DISTINCT s.day) AS n FROM sales AS s",
}
DAYS = 14


def day(number: int, rows: int = 40, plus: int = 0) -> pa.Table:
    return pa.table(
        {
            "day": pa.array([number] * rows, pa.int32()),
            "shop": pa.array([None if n % 11 == 0 else f"shop {(n * number) % 7}" for n in range(rows)]),
            "amount": pa.array([(n * 37 + number * 13) % 101 + plus for n in range(rows)], pa.int64()),
            "price": pa.array([Decimal(n * number % 997) / 100 for n in range(rows)], pa.decimal128(10, 2)),
            "weight": pa.array([(n + 1) / (number + 3) for n in range(rows)], pa.float64()),
        }
    )


def put(project: SampleProject, number: int, **changed: Any) -> Path:
    path = project.root / "data" / "sales" / f"day_{number:03d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(day(number, **changed), path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml=TOML)
    for number in range(1, DAYS + 1):
        put(made, number)
    made.parquet("shops", {"shop": [f"shop {n}" for n in range(7)], "city": [f"city {n % 3}" for n in range(7)]})
    for name, sql in RULES.items():
        made.sql(name, sql)
    return made


def parts(ran: Ran) -> dict[str, tuple[int, int]]:
    return {
        one["name"]: (one["parts"]["total"], one["parts"]["run"]) for one in ran.document["products"] if "parts" in one
    }


def artifacts(ran: Ran) -> dict[str, str]:
    return {one["name"]: one["artifact"] for one in ran.document["products"]}


def require_clean_build(project: SampleProject, ran: Ran, other: Path) -> None:
    """A build in an empty store gives the same tables, to the last bit."""
    shutil.rmtree(other, ignore_errors=True)
    fresh = SampleProject.copy_of(project.root, other)
    clean = build(fresh)
    for name in RULES:
        assert fresh.product(name).equals(project.product(name)), name
    assert artifacts(clean) == artifacts(ran)


@pytest.mark.slow
def test_the_first_build_reads_every_part_once(project: SampleProject, tmp_path: Path) -> None:
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (DAYS, DAYS))
    require_clean_build(project, ran, tmp_path / "clean")
    assert build(project).executed == set()


CHANGES = {
    "appended": lambda project: put(project, DAYS + 1),
    "late": lambda project: put(project, 0),
    "corrected": lambda project: put(project, 7, plus=1),
    "shortened": lambda project: put(project, 7, rows=13),
    "deleted": lambda project: (project.root / "data/sales/day_007.parquet").unlink(),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_costs_its_part(project: SampleProject, tmp_path: Path, change: str) -> None:
    build(project)
    CHANGES[change](project)
    new = 0 if change == "deleted" else 1
    total = DAYS + {"appended": 1, "late": 1, "deleted": -1}.get(change, 0)
    planned = run(project, "plan", "--json").document
    verb = "is" if new < 2 else "are"
    for one in planned["products"]:
        if one["verdict"] == "run":
            assert one["reason"].endswith(f"; {new or 'none'} of {total} parts of sales {verb} new"), one
            assert one["parts"] == {"input": "sales", "total": total, "run": new}
    ran = build(project)
    assert parts(ran)
    assert set(parts(ran).values()) == {(total, new)}
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
def test_bags_are_those_of_the_whole_query(project: SampleProject, tmp_path: Path) -> None:
    build(project)
    whole = SampleProject.copy_of(project.root, tmp_path / "whole")
    whole.edit("rules.toml", "min_rows = 1", "min_rows = 1000000")
    assert parts(build(whole)) == {}
    for name in RULES:
        rows = [sorted(map(repr, one.product(name).to_pylist())) for one in (project, whole)]
        if name != "floats":
            assert rows[0] == rows[1], name


def test_many_small_parts_share_runs_of_the_engine(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    def noted(own: Callable[..., Any]) -> Callable[..., Any]:
        def noting(engine: LocalEngine, asked: Any, *others: Any) -> Any:
            runs.append(getattr(asked, "query", asked).sql)
            return own(engine, asked, *others)

        return noting

    monkeypatch.setattr(LocalEngine, "execute", noted(LocalEngine.execute))
    monkeypatch.setattr(LocalEngine, "stream", noted(LocalEngine.stream))
    assert parts(build(project)) == dict.fromkeys(RULES, (DAYS, DAYS))
    of_a_part = [sql for sql in runs if '"input"."sales"' in sql]
    shared = [sql for sql in of_a_part if "~part" in sql]
    assert len(shared) == 4  # totals, one, best, distinct_days
    assert len(of_a_part) - len(shared) == 2 * DAYS  # floats, and a join


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT s.shop, SUM(s.amount) AS amount, COUNT(*) AS n FROM sales AS s GROUP BY s.shop",
        "SELECT DISTINCT s.shop, s.amount FROM sales AS s",
        "SELECT s.amount, s.price FROM sales AS s WHERE s.amount > 50",
    ],
)
def test_small_parts_are_whole_on_several_partitions(project: SampleProject, tmp_path: Path, sql: str) -> None:
    """The engine mixes the rows of parts there, and what is known of a part is believed under every profile."""
    for name in RULES:
        (project.root / "rules" / f"{name}.sql").unlink()
    project.sql("one", sql)
    build(project, "--set", "partitions=3", "--set", "batch_size=16")
    assert build(project).executed == set()
    fresh = SampleProject.copy_of(project.root, tmp_path / "clean")
    build(fresh)
    rows = [sorted(map(str, one.product("one").to_pylist())) for one in (project, fresh)]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_an_edit_of_having_reads_no_part(project: SampleProject) -> None:
    build(project)
    project.edit("rules/best.sql", "COUNT(*) > 1", "COUNT(*) > 2")
    assert parts(build(project)) == {"best": (DAYS, 0)}


@pytest.mark.slow
def test_a_damaged_partial_result_is_computed_again(project: SampleProject, tmp_path: Path) -> None:
    ran = build(project)
    products = {(project.root / f".rules/products/{name}.parquet").resolve() for name in RULES}
    for path in (project.root / ".rules/objects").rglob("*.parquet"):
        if path not in products:
            path.chmod(0o644)
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    put(project, DAYS + 1)
    ran = build(project)
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
def test_the_audit_works_by_parts_and_finds_no_difference(project: SampleProject) -> None:
    build(project)
    put(project, 7, plus=1)
    build(project)
    ran = run(project, "audit", "--json")
    assert ran.document["status"] == "ok"
    assert set(ran.document["checked"]) >= set(RULES)


def test_the_audit_compares_a_table_in_parts_whose_order_counts(project: SampleProject) -> None:
    """It is run again in one piece, which has other digests of the same rows in the same order."""
    rows = "SELECT s.day, s.amount FROM sales AS s WHERE s.amount > 9"
    project.sql("in_order", f"-- /// rule\n-- tier = 1\n-- ///\n{rows}")
    build(project)
    assert (project.root / ".rules/products/in_order.parquet").is_dir()
    assert run(project, "audit", "-s", "in_order", "--json").document["differing"] == []
    assert run(project, "verify", "-s", "in_order", "--json").document["products"][0]["same"]


@pytest.mark.slow
def test_how_a_rule_reads_is_proved_once(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    proved = readings_module.readings

    def noting(compiled: Any, *others: Any) -> Any:
        asked.append(compiled.meaning)
        return proved(compiled, *others)

    monkeypatch.setattr(readings_module, "readings", noting)
    build(project)
    assert len(asked) == len(RULES)
    put(project, DAYS + 1)
    run(project, "plan")
    build(project)
    project.edit("rules/best.sql", "SELECT", "-- a comment\nSELECT")
    put(project, 7, plus=1)
    assert parts(build(project))["best"] == (DAYS + 1, 1)
    assert len(asked) == len(RULES)
    project.edit("rules/best.sql", "COUNT(*) > 1", "COUNT(*) > 2")
    build(project)
    assert len(asked) == len(RULES) + 1
    run(project, "audit")
    assert len(asked) == 2 * len(RULES) + 1


@pytest.mark.slow
def test_a_forced_build_believes_nothing_of_parts(project: SampleProject, tmp_path: Path) -> None:
    ran = build(project)
    assert parts(build(project, "--force", "*")) == dict.fromkeys(RULES, (DAYS, DAYS))
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
def test_a_rule_after_a_part_wise_one_inherits_its_parts(project: SampleProject, tmp_path: Path) -> None:
    project.sql("by_city", "SELECT l.city, SUM(l.amount) AS amount FROM large AS l GROUP BY l.city")
    project.sql("again", "SELECT l.day, l.amount + 1 AS more FROM large AS l WHERE l.day <> 3")
    build(project)
    put(project, DAYS + 1)
    ran = build(project)
    assert parts(ran)["by_city"] == (DAYS + 1, 1)
    assert parts(ran)["again"] == (DAYS + 1, 1)
    require_clean_build(project, ran, tmp_path / "clean")
    link = project.root / ".rules/products/large.parquet"
    assert link.is_symlink()
    assert len(list(link.iterdir())) == DAYS + 1
    assert len(pq.read_table(link)) == pq.read_table(link, filters=[("amount", ">", 50)]).num_rows
    assert build(project).executed == set()


@pytest.mark.slow
def test_parts_of_one_result_are_known_however_the_store_collects(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", toml=TOML)
    project.parquet("shops", {"shop": ["a"], "city": ["b"]})
    project.sql("none", "SELECT s.day, s.amount FROM sales AS s WHERE s.amount > 1000")
    put(project, 1)
    for number in range(2, 12):
        put(project, number)
        (product,) = build(project).document["products"]
        run(project, "gc")
        assert product["parts"]["run"] == (2 if number == 2 else 1), number
