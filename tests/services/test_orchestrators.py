"""The examples of docs/orchestrators.md, run by the real packages in environments of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.versus.environments import programs
from support.projects import RULES, SampleProject

DOCS = Path(__file__).resolve().parents[2] / "docs" / "orchestrators.md"
DAGSTER = """
import json
import dagster as dg
from definitions import products

found = []
with dg.DagsterInstance.ephemeral() as instance:
    for selection in (None, ["total"]):
        ran = dg.materialize([products], instance=instance, selection=selection, raise_on_error=False)
        made = {}
        for event in ran.get_asset_materialization_events():
            one = event.step_materialization_data.materialization
            made[one.asset_key.to_user_string()] = {
                "status": one.metadata["status"].value,
                "version": one.tags["dagster/data_version"],
            }
        found.append({"ok": ran.success, "made": made})
graph = {spec.key.to_user_string(): [one.asset_key.to_user_string() for one in spec.deps] for spec in products.specs}
print("FOUND " + json.dumps({"runs": found, "graph": graph}))
"""

AIRFLOW = """
import json
from products import products

ran = products.test()
states = {one.task_id: one.state for one in ran.get_task_instances()}
print("FOUND " + json.dumps({"state": ran.state, "tasks": states}))
"""


def example(section: str) -> str:
    """Return the code under a heading."""
    found = re.search(rf"## {section}\n.*?```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=["orders"])
    project.parquet("orders", {"id": [1, 2, 3], "amount": [1, 2, 3]})
    project.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 1")
    project.sql("total", "SELECT SUM(l.amount) AS total FROM large AS l")
    return project


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("RULES_PEERS_DIR")
    return Path(kept) if kept else tmp_path_factory.mktemp("peers")


def variables(folder: Path, project: SampleProject) -> dict[str, str]:
    return {
        **os.environ,
        "RULES": str(RULES),
        "RULES_PROJECT": str(project.root),
        "DAGSTER_HOME": "",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
    }


def run(python: Path, script: str, folder: Path, project: SampleProject) -> Any:
    command = [str(python), "-c", script]
    environment = variables(folder, project)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return json.loads(line.removeprefix("FOUND "))


@pytest.mark.service
@pytest.mark.timeout(600)
def test_dagster_builds_products_as_assets(project: SampleProject, environments: Path, tmp_path: Path) -> None:
    python = programs(environments, "Dagster") / "python"
    (tmp_path / "definitions.py").write_text(example("Dagster"))
    first = run(python, DAGSTER, tmp_path, project)
    assert first["graph"] == {"large": ["orders"], "total": ["large"]}
    all_of_it, total = first["runs"]
    assert all_of_it["ok"]
    assert {name: one["status"] for name, one in all_of_it["made"].items()} == {
        "large": "executed",
        "total": "executed",
    }
    assert total["made"] == {"total": {**all_of_it["made"]["total"], "status": "clean"}}
    project.sql("large", "SELECT o.id, o.amount, 1 / (o.id - o.id) AS n FROM orders AS o")
    failed, _ = run(python, DAGSTER, tmp_path, project)["runs"]
    assert failed == {"ok": False, "made": {}}


@pytest.mark.service
@pytest.mark.soak  # it takes longer to install than to run
@pytest.mark.timeout(900)
def test_airflow_builds_products_as_tasks(project: SampleProject, environments: Path, tmp_path: Path) -> None:
    programs_of = programs(environments, "Airflow")
    (tmp_path / "products.py").write_text(example("Airflow"))
    migrate = [str(programs_of / "airflow"), "db", "migrate"]
    subprocess.run(migrate, cwd=tmp_path, env=variables(tmp_path, project), check=True, capture_output=True)
    done = run(programs_of / "python", AIRFLOW, tmp_path, project)
    assert done == {"state": "success", "tasks": {"large": "success", "total": "success"}}
    assert set(project.statuses(project.build())) == {"large", "total"}
    assert project.executed(project.build()) == set()
    project.sql("large", "SELECT o.id, o.amount / (o.id - o.id) AS amount FROM orders AS o")
    failed = run(programs_of / "python", AIRFLOW, tmp_path, project)
    assert failed == {"state": "failed", "tasks": {"large": "failed", "total": "upstream_failed"}}
