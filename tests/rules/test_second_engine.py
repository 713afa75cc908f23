"""The steps take their engine as a value: SQLite plans and runs a project through the driver, and no other does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rules.build import build, plan
from rules.config.project import load_project
from rules.errors import UserErrors
from rules.planning.prepared import Request
from rules.running.results import BuildReport
from support.inprocess import build as build_locally
from support.observers import Silent
from support.projects import SampleProject
from support.sqlite_engine import SqliteEngine

ROOT = Path(__file__).resolve().parents[2]
REQUEST = Request(engine=SqliteEngine())


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    toml = '\n[sources.people]\npath = "data/people.csv"\n[contracts.adults]\nkey = ["id"]\n'
    made = SampleProject(tmp_path, sources=["orders"], toml=toml)
    made.parquet("orders", {"id": [1, 2, 3, 4], "person": [1, 1, 2, 3], "amount": [10.0, 20.0, 30.0, 40.0]})
    made.write("data/people.csv", "id,name,age\n1,Ann,30\n2,Bob,40\n3,Cid,10\n")
    made.sql("adults", "SELECT p.id, p.name FROM people AS p WHERE p.age >= 18")
    made.sql(
        "spent",
        "SELECT a.name, SUM(o.amount) AS amount, COUNT(*) AS n "
        "FROM orders AS o JOIN adults AS a ON a.id = o.person GROUP BY a.name",
    )
    made.sql("count", "SELECT COUNT(*) AS n FROM orders AS o")
    return made


def run(project: SampleProject, request: Request = REQUEST) -> BuildReport:
    return build(load_project(project.root), request, Silent())


def executed(report: BuildReport) -> set[str]:
    return {name for name, result in report.results.items() if result.status == "executed"}


def rows(project: SampleProject, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.product(name).to_pylist()
    return sorted(found, key=str)


def test_it_builds_what_is_dirty_and_nothing_else(project: SampleProject) -> None:
    assert executed(run(project)) == {"adults", "spent", "count"}
    assert rows(project, "spent") == [{"name": "Ann", "amount": 30.0, "n": 2}, {"name": "Bob", "amount": 30.0, "n": 1}]
    assert rows(project, "count") == [{"n": 4}]
    assert executed(run(project)) == set()
    project.edit("rules/adults.sql", "p.age >= 18", "18 <= p.age -- the same")
    assert executed(run(project)) == set()
    project.edit("data/people.csv", "3,Cid,10", "3,Cid,19")
    assert executed(run(project)) == {"adults", "spent"}
    assert {"name": "Cid", "amount": 40.0, "n": 1} in rows(project, "spent")
    project.edit("data/people.csv", "2,Bob,40", "2,Bob,41")
    assert executed(run(project)) == {"adults"}, "early cutoff"


def test_checks_run_on_it_and_keep_a_product_back(project: SampleProject) -> None:
    run(project)
    project.edit("data/people.csv", "2,Bob", "1,Bob")
    report = run(project)
    assert report.results["adults"].status == "failed"
    assert report.results["spent"].status == "skipped"
    assert len(rows(project, "adults")) == 2


def test_an_audit_runs_on_it(project: SampleProject) -> None:
    run(project)
    report = run(project, replace(REQUEST, audit=1.0))
    assert set(report.audit.checked) == {"adults", "adults.key", "spent", "count"}
    assert report.audit.differing == {}


def test_what_it_refuses_is_an_error_of_the_rule(project: SampleProject) -> None:
    project.sql("wrong", "SELECT date_trunc('day', o.id) AS day FROM orders AS o")
    with pytest.raises(UserErrors) as raised:
        plan(load_project(project.root), REQUEST, Silent())
    (error,) = raised.value.errors
    assert "date_trunc" in error.message
    assert error.where is not None
    assert error.where.path == "rules/wrong.sql"


def test_no_engine_takes_the_results_of_another_for_its_own(project: SampleProject) -> None:
    run(project)
    before = rows(project, "spent")
    assert build_locally(project).executed == {"adults", "spent", "count"}
    assert rows(project, "spent") == before
    assert executed(run(project)) == set(), "its results are still known"


@pytest.mark.slow
def test_the_other_engine_is_not_even_imported(project: SampleProject) -> None:
    script = (
        "import json, sys; from pathlib import Path; from rules.build import build;"
        "from rules.config.project import load_project; from rules.planning.prepared import Request;"
        "from support.observers import Silent; from support.sqlite_engine import SqliteEngine;"
        "report = build(load_project(Path(sys.argv[1])), Request(engine=SqliteEngine(), audit=1.0), Silent());"
        "print(json.dumps([sorted(report.results), 'datafusion' in sys.modules]))"
    )
    path = [str(ROOT), str(ROOT / "tests")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {script}", str(project.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [["adults", "count", "spent"], False]
