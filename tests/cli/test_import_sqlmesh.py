"""`rules import sqlmesh`: what SQLMesh renders becomes a project that builds; tests/services run SQLMesh itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import inprocess
from support.dbt import rows, rule
from support.projects import FIXTURES, SampleProject

ORDERS = FIXTURES / "sqlmesh" / "orders"


@pytest.fixture
def printing(tmp_path: Path) -> str:
    """A program that prints what SQLMesh 0.236 rendered of the project, in place of the Python that has it."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ntr -d '\\n' < {ORDERS}/rendered.json\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


@pytest.mark.slow
def test_models_audits_and_seeds_are_carried_over(printing: str, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"customer": [1], "note": ["hi"]}), tables / "ext_notes.parquet")
    pq.write_table(pa.table({"n": [3]}), tables / "shop_counts.parquet")
    pq.write_table(pa.table({"customer": [1, 2], "orders": [2, 2]}), tables / "shop_history.parquet")
    pq.write_table(
        pa.table({"customer": [1, 2], "best": [120.0, 210.1], "total": [4, 4]}), tables / "shop_best.parquet"
    )
    into = tmp_path / "imported"
    words = ("import", "--json", "sqlmesh", str(ORDERS), "--python", printing, "--into", str(into))
    document = inprocess.run(SampleProject.at(tmp_path), *words, "--verify", str(tables)).document
    assert document["verify"]["same"] == ["best"]
    assert {one["name"]: one["became"] for one in document["tests"]} == {
        "not_null_order_id": "orders.key",
        "unique_values_order_id": "orders.key",
        "not_null_ordered_on": "orders.not_null.ordered_on",
        "accepted_values_state": "orders.accepted.state",
        "positive_amounts": "orders.positive_amounts",
        "number_of_rows": "orders.number_of_rows",
        "not_null_customer": "customers.not_null.customer",
        "no_orphans": "orders.no_orphans",
    }
    assert document["left_out"] == {}
    assert [one["name"] for one in document["rules"] if one["stub"]] == ["counts"]
    assert any(
        "its history is in its table alone" in change for one in document["sources"] for change in one["changes"]
    )
    assert any("from 1900 to 2099" in one for one in rule(document, "orders")["changes"])
    project = SampleProject.at(into)
    assert 'severity = "warn"' in project.read("rules/customers.sql")  # blocking := false
    assert rows(project, "labelled") == [(1, "large", "hi"), (2, "large", None)]
    assert rows(project, "known", ["code", "name", "zip", "open", "ranked"]) == [
        ("DE", "Baden; Hessen", "49", False, None),
        ("FR", None, "33", True, 3),
        (None, "Namibia", "264", True, 1),
        (None, None, "7", None, 4),
    ], "as pandas reads it, under the seed's settings"
    assert not inprocess.build(project).executed


UNIT_TESTS = {
    "test_best": "passed",
    "test_rows_of_a_file": "passed",
    "test_orders_inside": "passed",
    "test_whole_null": "passed",
    "test_best_ctes": "passed",
    "test_best_ctes (CTEs)": "it tests orders inside of the query, and only what a rule yields can be tested",
    "test_counts": "the query of counts is not here: a model in Python",
    "test_gone": "its model is not in the project",
    "test_least": "it fails here, where its variables (least) change nothing: their values are in the text of the rule",
    "test_orders_of_january": "it fails here, where its variables (end, start) change nothing: their values are in the "
    "text of the rule",
}


@pytest.mark.slow
def test_unit_tests_are_carried_over_or_listed_with_the_reason(printing: str, tmp_path: Path) -> None:
    into = tmp_path / "imported"
    words = ("import", "--json", "sqlmesh", str(ORDERS), "--python", printing, "--into", str(into))
    document = inprocess.run(SampleProject.at(tmp_path), *words).document
    assert {one["name"]: one["lost"] or one["status"] for one in document["unit_tests"]} == UNIT_TESTS
    text = inprocess.run(SampleProject.at(tmp_path), *words[:1], *words[2:-1], str(tmp_path / "again")).stdout
    assert "10 unit tests: 5 pass, 5 not carried over" in text
    project = SampleProject.at(into)
    ran = inprocess.run(project, "test", "--json").document
    assert {one["name"] for one in ran["tests"]} == {name for name, how in UNIT_TESTS.items() if how == "passed"}
    assert ran["status"] == "ok"
    assert 'columns = ["customer", "orders", "revenue"' in project.read("tests/customers.toml"), "NULL is expected too"
    project.edit("rules/customers.sql", "COUNT(*) AS", "COUNT(*) + 1 AS")
    ran = inprocess.run(project, "test", "--json", expect=1).document
    assert [one["name"] for one in ran["tests"] if one["status"] != "clean"] == ["test_whole_null"]


def test_a_python_without_sqlmesh_is_refused(tmp_path: Path) -> None:
    words = ("import", "--json", "sqlmesh", str(ORDERS), "--into", str(tmp_path / "imported"), "--python")
    error = inprocess.run(SampleProject.at(tmp_path), *words, sys.executable, expect=2).document["error"]
    assert error["message"] == "SQLMesh cannot render the project: ModuleNotFoundError: No module named 'sqlmesh'"
    error = inprocess.run(SampleProject.at(tmp_path), *words, str(tmp_path / "none"), expect=2).document["error"]
    assert error["message"].endswith("none: No such file or directory")
    assert not (tmp_path / "imported").exists()


def test_without_a_program_the_python_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = inprocess.run(SampleProject.at(tmp_path), "import", "--json", "sqlmesh", str(ORDERS), expect=2).document[
        "error"
    ]
    assert "--python" in error["hint"]
