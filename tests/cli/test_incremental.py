"""What re-runs after an edit, on the flights project: never more than the edit's meaning asks for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from support.flights import built_flights
from support.projects import FIXTURES, SampleProject


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> SampleProject:
    """A built copy, store and all, to be edited."""
    return built_flights(tmp_path_factory, tmp_path / "flights")[0]


def executed(project: SampleProject) -> set[str]:
    document = project.build()
    assert project.cli("build").stdout.startswith("nothing to do")
    return SampleProject.executed(document)


COSMETIC = {
    "comment": ("marts/route_league.sql", "WITH routes AS (", "-- the busy ones\nWITH routes AS ( -- per airport"),
    "format": (
        "marts/route_league.sql",
        "    GROUP BY f.origin, f.dest\n    HAVING COUNT(*) >= $min_flights\n",
        "  group   by f.origin,\n f.dest having count( * )>=$min_flights ",
    ),
    "table alias": ("intermediate/flight_weather.sql", "f.", "scheduled."),
    "CTE name": ("marts/route_league.sql", "routes", "busy_routes"),
    "CTE to derived table": (
        "quality/unknown_destinations.sql",
        "WITH flights AS (\n    SELECT * FROM flights\n),\n\nairports AS (\n    SELECT * FROM airports\n)\n",
        "WITH airports AS (\n    SELECT * FROM airports\n),\n\nflights AS (\n    SELECT * FROM flights\n)\n",
    ),
    "predicate order": (
        "intermediate/flight_weather.sql",
        "ON w.origin = f.origin\n    AND w.observed_at_utc = f.scheduled_hour_utc",
        "ON f.scheduled_hour_utc = w.observed_at_utc AND (w.origin = f.origin)",
    ),
    "description": ("intermediate/flight_weather.sql", "Each scheduled flight", "Every flight"),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", COSMETIC)
def test_a_cosmetic_edit_executes_nothing(project: SampleProject, edit: str) -> None:
    path, old, new = COSMETIC[edit]
    project.edit(f"rules/{path}", old, new)
    if edit == "table alias":
        project.edit(f"rules/{path}", "AS f\n", "AS scheduled\n")
    document = project.build()
    assert document["status"] == "ok"
    assert SampleProject.executed(document) == set()


@pytest.mark.slow
def test_all_cosmetic_edits_at_once(project: SampleProject) -> None:
    for path in (project.root / "rules").rglob("*.sql"):
        path.write_text(path.read_text().replace("\n    ", "\n\t  ") + "\n\n-- the end\n")
    assert executed(project) == set()


def test_a_filter_that_removes_no_row_is_one_execution(project: SampleProject) -> None:
    project.edit("rules/staging/clean_planes.sql", "FROM planes AS p", "FROM planes AS p\nWHERE p.seats > 0")
    assert executed(project) == {"clean_planes"}


def test_a_column_that_nobody_reads_is_one_execution(project: SampleProject) -> None:
    project.edit("rules/staging/clean_planes.sql", "    p.model,", "    p.model,\n    p.speed AS cruise_speed,")
    assert executed(project) == {"clean_planes"}


def test_a_source_column_reaches_its_readers_and_no_further(project: SampleProject) -> None:
    path = project.root / "data" / "weather.parquet"
    weather = pq.read_table(path)
    position = weather.schema.get_field_index("pressure")
    pq.write_table(weather.set_column(position, weather.field(position), pc.add(weather["pressure"], 1.0)), path)
    assert executed(project) == READERS_OF_PRESSURE


def test_a_column_of_a_text_source(project: SampleProject) -> None:
    project.edit("data/airlines.csv", "Endeavor Air Inc.", "Endeavor Air")
    names = executed(project)
    assert "carrier_scorecard" in names
    assert "clean_flights" not in names
    assert "route_league" not in names


def test_a_variable_reaches_the_rules_that_use_it(project: SampleProject) -> None:
    project.edit("rules.toml", "min_flights = 100 ", "min_flights = 101 ")
    users = {path.stem for path in (project.root / "rules").rglob("*.sql") if "$min_flights" in path.read_text()}
    ran = executed(project)
    assert users <= ran
    unrelated = {"clean_flights", "clean_weather", "hub_comparison", "quality_summary"}
    assert not ran & unrelated


def test_a_reverted_edit_is_restored(project: SampleProject) -> None:
    text = project.read("rules/marts/worst_days.sql")
    project.write("rules/marts/worst_days.sql", text.replace("LIMIT 20", "LIMIT 19"))
    assert "worst_days" in executed(project)
    project.write("rules/marts/worst_days.sql", text)
    document = project.build()
    assert SampleProject.executed(document) == set()
    assert SampleProject.statuses(document)["worst_days"] == "restored"


def test_renaming_a_product_executes_nothing(project: SampleProject) -> None:
    rules = project.root / "rules"
    (rules / "staging" / "clean_planes.sql").rename(rules / "staging" / "tidy_planes.sql")
    for path in rules.rglob("*.sql"):
        path.write_text(path.read_text().replace("clean_planes", "tidy_planes"))
    before = project.product("clean_planes")
    assert executed(project) == set()
    assert project.product("tidy_planes").equals(before)
    assert not (project.root / ".rules" / "products" / "clean_planes.parquet").exists()


@pytest.mark.slow
def test_a_branch_switch_and_back_executes_nothing_the_second_time(project: SampleProject) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *identity, *arguments], cwd=project.root, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    project.edit("rules/staging/clean_planes.sql", "ELSE INITCAP(p.manufacturer)", "ELSE p.manufacturer")
    git("commit", "-am", "two")
    assert "clean_planes" in executed(project)
    git("checkout", "main")
    assert executed(project) == set()
    git("checkout", "other")
    assert executed(project) == set()


@pytest.mark.slow
def test_fingerprints_and_keys_are_the_same_anywhere(project: SampleProject, tmp_path: Path) -> None:
    """Another folder, hash seed, number of products at once and of CPU threads, time zone and locale."""
    there = SampleProject.copy_of(FIXTURES / "flights", tmp_path / "elsewhere" / "copied project")
    env = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "TOKIO_WORKER_THREADS": "5"}
    document = there.build("-j", "5", env=env)
    here = {product["name"]: product for product in project.build()["products"]}
    for product in document["products"]:
        assert product["fingerprint"] == here[product["name"]]["fingerprint"]
        assert product["key"] == here[product["name"]]["key"], product["name"]


@pytest.mark.slow
def test_a_folder_with_modules_named_like_ours_builds(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "mine", sources=["orders"])
    project.parquet("orders", {"id": [1, 2]})
    project.sql("ids", "SELECT o.id FROM orders AS o")
    for module in ("graph.py", "compiler.py", "rules/__init__.py", "cache/__init__.py", "sqlglot.py", "json.py"):
        project.write(module, "raise RuntimeError('a module of the user was imported')\n")
    done = project.started("build", "--json")
    assert SampleProject.executed(json.loads(done.stdout)) == {"ids"}, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("start", ["python -m", "PYTHONPATH"])
def test_modules_named_like_ours_on_the_path(tmp_path: Path, start: str) -> None:
    project = SampleProject(tmp_path / "mine", sources=["orders"])
    project.parquet("orders", {"id": [1, 2]})
    project.sql("ids", "SELECT o.id FROM orders AS o")
    for module in ("graph.py", "compiler.py", "cache/__init__.py"):
        project.write(module, "raise RuntimeError('a module of the user was imported')\n")
    if start == "PYTHONPATH":
        done = project.cli("build", env={"PYTHONPATH": str(project.root)})
    else:
        import sys

        done = subprocess.run(
            [sys.executable, "-m", "rules", "build"], cwd=project.root, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "1 executed" in done.stdout


def test_import_ctes_named_like_their_inputs(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "p", sources=["orders", "customers"])
    project.parquet("orders", {"id": [1, 2, 3], "customer": [1, 1, 2], "note": ["a", "b", "c"]})
    project.parquet("customers", {"id": [1, 2], "name": ["x", "y"], "note": ["p", "q"]})
    project.sql(
        "named",
        "WITH orders AS (SELECT * FROM orders), customers AS (SELECT * FROM customers)\n"
        "SELECT o.id, c.name FROM orders AS o JOIN customers AS c ON c.id = o.customer",
    )
    assert SampleProject.executed(project.build()) == {"named"}
    assert sorted(project.product("named").to_pylist(), key=str) == [
        {"id": 1, "name": "x"},
        {"id": 2, "name": "x"},
        {"id": 3, "name": "y"},
    ]
    project.parquet("orders", {"id": [1, 2, 3], "customer": [1, 1, 2], "note": ["changed", "b", "c"]})
    assert SampleProject.executed(project.build()) == set()
    project.parquet("customers", {"id": [1, 2], "name": ["x", "z"], "note": ["p", "q"]})
    assert SampleProject.executed(project.build()) == {"named"}


READERS_OF_PRESSURE = {"clean_weather"}
