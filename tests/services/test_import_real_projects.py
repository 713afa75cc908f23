"""`rules import` after real dbt and SQLMesh, in environments of their own, with DuckDB and with a PostgreSQL server.

Each project of fixtures/dbt is built and compiled by dbt, imported by one command, and every product is compared.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.versus.peers import Sqlmesh
from support import inprocess
from support.dbt import DBT, UNTRANSLATED
from support.postgresql import binaries
from support.projects import FIXTURES, SampleProject


def runner() -> ModuleType:
    """The script that runs dbt, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("make_dbt", FIXTURES / "make_dbt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt is installed: once for all tests, or where RULES_PEERS_DIR says, to stay."""
    kept = os.environ.get("RULES_PEERS_DIR")
    return Path(kept) if kept else tmp_path_factory.mktemp("peers")


@pytest.mark.service
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(UNTRANSLATED))
def test_every_product_is_what_dbt_made_or_says_why_not(name: str, environments: Path, tmp_path: Path) -> None:
    if name == "ledger" and binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    project, tables = tmp_path / name, tmp_path / "tables"
    shutil.copytree(DBT / name, project, ignore=shutil.ignore_patterns("target", "warehouse"))
    runner().run(project, environments, tables)
    databases = list(project.glob("*.duckdb"))
    warehouse = str(databases[0] if databases else tables)
    into = tmp_path / "imported"
    words = ("import", "--json", "dbt", str(project), "--into", str(into), "--verify", warehouse)
    document = inprocess.run(SampleProject.at(tmp_path), *words).document
    assert document["status"] == "ok"
    assert {one["name"] for one in document["rules"] if one["stub"]} == UNTRANSLATED[name]
    verify = document["verify"]
    assert all(one["reasons"] for one in verify["different"])
    tableless = {one for one, why in verify["not_compared"].items() if "made no table" in why}
    assert set(verify["not_compared"]) == UNTRANSLATED[name] | tableless
    assert len(verify["same"]) >= 9
    assert not [one for one in document["tests"] if one["lost"]]
    assert not document["missing"]
    if name == "clinic":
        lost = {one["name"] for one in document["unit_tests"] if one["lost"]}
        assert lost == {"only_new_visits", "lists_are_compared"}  # an incremental run; a model whose query is not here
        assert {one["status"] for one in document["unit_tests"] if not one["lost"]} == {"passed"}


@pytest.mark.service
@pytest.mark.timeout(900)
def test_every_product_is_what_sqlmesh_made_or_says_why_not(environments: Path, tmp_path: Path) -> None:
    programs = runner().programs(environments, "SQLMesh")
    project = tmp_path / "orders"
    shutil.copytree(FIXTURES / "sqlmesh" / "orders", project)
    notes = "CREATE SCHEMA ext; CREATE TABLE ext.notes AS SELECT 1 AS customer, chr(104) AS note"
    make = f"import duckdb; duckdb.connect('orders.duckdb').execute('{notes}')"
    plan = ["plan", "--auto-apply", "--no-prompts", "--skip-linter", "--no-diff"]
    environment = {**os.environ, **Sqlmesh.environment}
    for command in ([programs / "python", "-c", make], [programs / "sqlmesh", *plan]):
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)
    into = tmp_path / "imported"
    words = ["import", "--json", "sqlmesh", str(project), "--python", str(programs / "python"), "--into", str(into)]
    ran = inprocess.run(SampleProject.at(tmp_path), *words, "--verify", str(project / "orders.duckdb"))
    verify = ran.document["verify"]
    assert sorted(verify["same"]) == ["best", "customers", "known", "labelled", "uses"]
    different = {one["name"]: one["reasons"] for one in verify["different"]}
    assert set(different) == {"orders"}  # its column tax is a DECIMAL(10, 2) there, which SQLMesh inferred
    assert any("casts what it stores" in reason for reason in different["orders"])
